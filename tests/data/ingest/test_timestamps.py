"""Timestamps in every form that a source may use."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.ingest import timestamps

NEW_YEAR = 1_704_067_200_000_000  # 2024-01-01 UTC in µs
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-01-01", NEW_YEAR),
        ("2024-01-01T00:00", NEW_YEAR),
        ("2024-01-01 00:00:07", NEW_YEAR + 7 * SECOND),
        ("2024-01-01T00:00:07Z", NEW_YEAR + 7 * SECOND),
        ("2024-01-01T00:00:07.25Z", NEW_YEAR + 7_250_000),
        ("2024-01-01T00:00:07,123456789", NEW_YEAR + 7_123_456),
        ("2024-01-01T01:00:00+01:00", NEW_YEAR),
        ("2023-12-31T18:30:00-0530", NEW_YEAR),
        ("2024-01-01 02:00:00 UTC", NEW_YEAR + 7200 * SECOND),
        (" 2024-01-01 ", NEW_YEAR),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("2024-01-01T01:00:00+01:00[Europe/Berlin]", NEW_YEAR),
        ("20240101T000007Z", NEW_YEAR + 7 * SECOND),
        ("20240101T0100+0100", NEW_YEAR),
        ("20240101T000007.25", NEW_YEAR + 7_250_000),
    ],
)
def test_iso_text_is_read_to_the_microsecond(text: str, micros: int) -> None:
    reading = timestamps.read_moments(pa.array([text]))
    assert reading.dated.tolist() == [True] and reading.micros.tolist() == [micros]


@pytest.mark.parametrize(
    "text",
    [
        "2024-13-01",
        "2024-02-30",
        "yesterday",
        "2024-01-01T25:00:00",
        "20240101T250000Z",
        "2024-01-01T01:00:00[Europe/Berlin]",
        "01/02/2024",
        "1e999",
        "inf",
    ],
)
def test_what_is_no_moment_is_bad(text: str) -> None:
    reading = timestamps.read_moments(pa.array([text, "2024-01-01"]))
    assert reading.bad.tolist() == [True, False]


def test_empty_cells_are_neither_dated_nor_bad() -> None:
    reading = timestamps.read_moments(pa.array([None, "NaN", ""], pa.string()))
    assert not reading.bad.any() and not reading.dated.any() and np.isnan(reading.numbers).all()


@pytest.mark.parametrize(("scale", "unit"), [(1, "s"), (10**3, "ms"), (10**6, "µs"), (10**9, "ns")])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_the_unit_of_bare_numbers_shows_in_their_size(scale: int, unit: str, kind: pa.DataType) -> None:
    stamps = [1_704_067_200 + n for n in range(3)]
    reading = timestamps.read_moments(pa.array([stamp * scale for stamp in stamps]).cast(kind, safe=False))
    assert timestamps.unit_of(reading.numbers) == unit
    micros, bad = timestamps.as_micros(reading, unit)
    assert not bad.any()
    # Text and float64 hold 53 bits: nanoseconds are exact to a quarter of a microsecond.
    assert np.abs(micros - [stamp * SECOND for stamp in stamps]).max() <= 1


def test_positions_must_be_whole_and_not_negative() -> None:
    reading = timestamps.read_moments(pa.array(["0", "17", "-1", "2.5", "x"]))
    positions, bad = timestamps.as_positions(reading)
    assert timestamps.unit_of(np.array([0.0, 17.0])) == "order"
    assert bad.tolist() == [False, False, True, True, True] and positions[:2].tolist() == [0, 17]


def test_arrow_timestamps_and_dates_of_any_unit_and_zone() -> None:
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    for kind in (pa.timestamp("s", "UTC"), pa.timestamp("ns", "Europe/Paris"), pa.timestamp("ms", "UTC")):
        assert timestamps.read_moments(pa.array([noon], kind)).micros.tolist() == [NEW_YEAR + 43_200 * SECOND]
    assert timestamps.read_moments(pa.array([noon.replace(tzinfo=None)], pa.timestamp("us"))).micros[0] > NEW_YEAR
    assert timestamps.read_moments(pa.array([dt.date(2024, 1, 1)])).micros.tolist() == [NEW_YEAR]


def test_a_bare_year_in_a_catalogue_is_its_first_day() -> None:
    for cells in (pa.array(["2024", "1977-05-25", None]), pa.array(["2024", "1977-05-25", ""])):
        micros, bad = timestamps.as_dates(timestamps.read_moments(cells))
        assert not bad.any() and micros[0] == NEW_YEAR and micros[1] == 233_366_400 * SECOND
    assert timestamps.as_dates(timestamps.read_moments(pa.array([2024])))[0].tolist() == [NEW_YEAR]
    assert timestamps.as_dates(timestamps.read_moments(pa.array([1_704_067_200])))[0].tolist() == [NEW_YEAR]


@pytest.mark.parametrize("never", ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31 23:59:59-12", "9999", "99991231"])
def test_the_last_day_of_the_calendar_stands_for_no_end(never: str) -> None:
    micros, bad = timestamps.as_dates(timestamps.read_moments(pa.array([never, None])))
    assert not bad[0] and dt.datetime.fromtimestamp(int(micros[0]) / SECOND, dt.UTC).year == 9999


@pytest.mark.parametrize(
    ("form", "lost"), [("%Y%m%d%H%M%S", 0), ("%Y%m%d%H%M", 7), ("%Y%m%d%H", 367), ("%Y%m%d", 7567)]
)
def test_compact_times_are_read_to_what_they_say(form: str, lost: int) -> None:
    when = dt.datetime(2026, 1, 31, 2, 6, 7, tzinfo=dt.UTC)
    written = [int((when + dt.timedelta(days=n)).strftime(form)) for n in range(3)]
    reading = timestamps.read_moments(pa.array(written))
    assert reading.dated.all()
    assert reading.micros.tolist() == [(int(when.timestamp()) - lost + 86_400 * n) * SECOND for n in range(3)]


def test_seconds_of_any_year_stay_seconds() -> None:
    seconds = np.arange(1_900_000_000, 2_100_000_000, 999_983)
    assert not timestamps.read_moments(pa.array(seconds)).dated.any()


def test_compact_dates_beside_the_last_day_stay_dates() -> None:
    reading = timestamps.read_moments(pa.array([20270131, 99991231, 99991231]))
    micros, bad = timestamps.as_dates(reading)
    years = [dt.datetime.fromtimestamp(int(each) / SECOND, dt.UTC).year for each in micros]
    assert years == [2027, 9999, 9999] and not bad.any()


def test_times_beyond_the_calendar_stay_invalid() -> None:
    seconds = pa.array([1_767_225_600] * 3 + [253_402_300_799 + 200_000, 9_223_372_036_854_775_807])
    assert timestamps.as_dates(timestamps.read_moments(seconds))[1].tolist() == [False] * 3 + [True] * 2
