"""A corrupt day, file or delivery stops the night that it comes in, however long the log is; a handful of rows doesn't."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.errors import UserError
from tests.support.datasets import prepare

USERS, ITEMS, DAYS, A_DAY = 40, 60, 60, 120
START = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
COLUMNS = ("user_id", "item_id", "timestamp", "event", "value")
Row = tuple[str, str, str, str, float]


def day(number: int, rows: int = A_DAY, bad: int = 0, event: str = "watch") -> list[Row]:
    """The rows of a day, the first `bad` of them without an item."""
    return [
        (
            f"u{(n * 7 + number) % USERS}",
            "" if n < bad else f"i{(n * 11 + number * 5) % ITEMS}",
            (START + dt.timedelta(days=number, seconds=600 * n)).isoformat(),
            event,
            0.9,
        )
        for n in range(rows)
    ]


def good(days: Sequence[int] = range(DAYS)) -> list[Row]:
    return [row for number in days for row in day(number)]


def write(path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[str] = COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(columns)}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])


def source(folder: Path, films: int | None = None, /, **files: Sequence[Row]) -> Path:
    """A source of so many films and these files of events; a double underscore in a name stands for its dot."""
    write(folder / "items.csv", [(f"i{n}", f"Film {n}") for n in range(films or ITEMS)], ("item_id", "title"))
    for name, rows in files.items():
        write(folder / "events" / name.replace("__", "."), rows)
    return folder


def publish(run: Path) -> None:
    """A version in the run's store that knows the run's rows, as evaluate leaves and publish ships it."""
    version = run / "state/store/versions/v1"
    (version / "rehearsal").mkdir(parents=True)
    (version / "config.json").write_text(json.dumps({"data_until": 1.7e9}))
    (version / "lineage.json").write_text(json.dumps({"recipe": "another", "predecessor": None}))
    known = json.loads((run / "data/validate/arrivals.json").read_text())
    (version / "rehearsal/profile.json").write_text(json.dumps({"rows_known": known}))
    (run / "state/store/channels").mkdir()
    pointer = {"digest": "v1", "previous": None, "generation": 1}
    (run / "state/store/channels/live.json").write_text(json.dumps(pointer))


def nights(tmp_path: Path, first: Path, second: Path, **changes: Any) -> Path:
    run = prepare(tmp_path / "run", first, changes)
    publish(run)
    return prepare(tmp_path / "run", second, changes)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_corrupt_last_day_stops_the_first_night_and_the_rows_can_be_read(tmp_path: Path, kind: str) -> None:
    given = source(tmp_path / "source", **{f"all__{kind}": [*good(), *day(DAYS, bad=90)]})
    with pytest.raises(UserError) as caught:
        prepare(tmp_path / "run", given)
    message = str(caught.value)
    assert (
        "events: 90 of 120 rows of 2024-04-30 (75.0%) are quarantined, more than validate.quarantine_share" in message
    )
    assert f"90 × empty cell in `item_id`, first in events/all.{kind} row 7201" in message
    kept = tmp_path / "run/state/reports"
    assert str(kept / "quarantine.parquet") in message and "90 of 120 rows" in (kept / "validate.md").read_text()
    rows = pq.read_table(kept / "quarantine.parquet")
    assert rows["source_row"].to_pylist() == list(range(7201, 7291))


def test_a_day_that_comes_late_is_new_wherever_it_lies(tmp_path: Path) -> None:
    late = [number for number in range(DAYS) if number != 20]
    first = source(tmp_path / "one", all__csv=good(late))
    second = source(
        tmp_path / "two", all__csv=sorted([*good(late), *day(20, bad=90), *day(DAYS)], key=lambda row: row[2])
    )
    with pytest.raises(UserError, match=r"events: 90 of 120 rows of 2024-03-21 \(75\.0%\)"):
        nights(tmp_path, first, second)


def test_a_day_that_has_grown_is_judged_by_what_was_added(tmp_path: Path) -> None:
    more = [(user, "i999", at, event, value) for user, _, at, event, value in day(20, 120)]
    shifted = [(user, item, at.replace(":00+", ":30+"), event, value) for user, item, at, event, value in more]
    first, second = source(tmp_path / "one", a__csv=good()), source(tmp_path / "two", a__csv=[*good(), *shifted])
    with pytest.raises(UserError, match=r"120 of 120 rows of 2024-03-21 \(100\.0%\)"):
        nights(tmp_path, first, second)


def test_one_bad_file_among_many_stops_on_a_first_night(tmp_path: Path) -> None:
    files = {f"part-{n:02d}__csv": good(range(n * 5, n * 5 + 5)) for n in range(12)}
    files["part-03__csv"] = [row for number in range(15, 20) for row in day(number, bad=10)]
    with pytest.raises(UserError, match=r"events: 50 of 600 rows of events/part-03\.csv \(8\.3%\)"):
        prepare(tmp_path / "run", source(tmp_path / "source", **files))


def test_an_old_day_alone_warns_on_a_first_night_and_what_was_live_is_not_judged_again(tmp_path: Path) -> None:
    spoilt = [*good(range(30)), *day(30, bad=90), *good(range(31, DAYS))]
    first = source(tmp_path / "one", all__csv=spoilt)
    second = source(tmp_path / "two", all__csv=[*spoilt, *day(DAYS)])
    run = nights(tmp_path, first, second)
    warnings = json.loads((run / "data/validate/report.json").read_text())["warnings"]
    assert "events: 1 days have more than 5.0% of their rows quarantined: 90 of 120 rows of 2024-03-31." in warnings


def test_a_handful_of_new_rows_stops_no_night_but_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = source(tmp_path / "one", all__csv=good())
    nights(tmp_path, first, source(tmp_path / "two", all__csv=[*good(), *day(DAYS, rows=12, bad=9)]))
    assert (
        "warning: events: 9 of 12 rows of 2024-04-30 are quarantined, most of them by the rule empty cell"
        in capsys.readouterr().out
    )


def test_many_small_days_are_judged_together(tmp_path: Path) -> None:
    first = source(tmp_path / "one", all__csv=good())
    came = [row for number in range(DAYS, DAYS + 5) for row in day(number, rows=40, bad=10)]
    with pytest.raises(UserError, match=r"50 of 200 rows (that came since|of events/all\.csv from row 7,201)"):
        nights(tmp_path, first, source(tmp_path / "two", all__csv=[*good(), *came]))


def test_rows_without_a_readable_day_count_as_what_came(tmp_path: Path) -> None:
    undated = [(user, item, "tomorrow", event, value) for user, item, _, event, value in day(0)]
    files = {"one__csv": good(), "two__csv": [*day(DAYS), *undated]}
    first = source(tmp_path / "one", one__csv=good())
    with pytest.raises(UserError, match=r"120 of 240 rows of events/two\.csv"):
        nights(tmp_path, first, source(tmp_path / "two", **files))


def test_items_that_leave_the_catalogue_are_no_fault_of_the_day(tmp_path: Path) -> None:
    first = source(tmp_path / "one", all__csv=good())
    second = source(tmp_path / "two", ITEMS - 2, all__csv=[*good(), *[r for r in day(DAYS) if r[1] < "i58"]])
    run = nights(tmp_path, first, second)
    assert json.loads((run / "metrics/validate.json").read_text())["rows"]["events"]["quarantined"] > 200


def test_a_day_that_is_delivered_twice_is_no_corruption(tmp_path: Path) -> None:
    files = {"one__csv": good(), "two__csv": [*day(DAYS - 1), *day(DAYS)]}
    nights(tmp_path, source(tmp_path / "one", one__csv=good()), source(tmp_path / "two", **files))


@pytest.mark.parametrize("clock", ["order", "auto"])
def test_a_file_that_is_written_anew_or_goes_on_is_judged_without_a_clock_too(tmp_path: Path, clock: str) -> None:
    def ordered(n: int, bad: int = 0) -> list[Row]:
        rows = [(f"u{at % USERS}", f"i{at * 11 % ITEMS}", str(at // USERS), "watch", 0.9) for at in range(n)]
        return [(u, "" if at >= n - bad else i, t, e, v) for at, (u, i, t, e, v) in enumerate(rows)]

    setting = {"snapshot.clock": clock}
    run = prepare(tmp_path / "run", source(tmp_path / "one", all__csv=ordered(7200)), setting)
    publish(run)
    with pytest.raises(UserError, match=r"200 of 400 rows of events/all\.csv from row 7,201 on \(50\.0%\)"):
        prepare(tmp_path / "run", source(tmp_path / "two", all__csv=ordered(7600, bad=200)), setting)


def test_an_erasure_hides_no_corrupt_day(tmp_path: Path) -> None:
    first = source(tmp_path / "one", all__csv=good())
    second = source(tmp_path / "two", all__csv=[*good(), *day(DAYS, bad=90)])
    write(second / "erasures.csv", [(f"u{n}", "2024-05-01") for n in range(10)], ("user_id", "requested_at"))
    with pytest.raises(UserError, match=r"\d+ of \d+ rows of 2024-04-30"):
        nights(tmp_path, first, second)


def test_what_is_known_changes_no_output(tmp_path: Path) -> None:
    first = source(tmp_path / "one", all__csv=good())
    run = prepare(tmp_path / "run", first)
    before = {path.name: path.read_bytes() for path in (run / "data/validate").iterdir()}
    publish(run)
    prepare(tmp_path / "run", first)
    assert {path.name: path.read_bytes() for path in (run / "data/validate").iterdir()} == before
