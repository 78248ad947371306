"""Parse timestamps in the forms that sources use into int64 µs since the epoch (UTC), or positions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import ORDER_BELOW
from nightreel.data.ingest.casting import NOTHING, NUMBER, cast_or_null, mask_of

Mask = npt.NDArray[np.bool_]
MICROS = 1_000_000
DAY = 86_400 * MICROS
UNITS = {"s": 1e6, "ms": 1e3, "µs": 1.0, "ns": 1e-3}
ISO = (
    r"^(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<minute>\d{2}:\d{2})(?:(?P<second>:\d{2})(?:[.,](?P<part>\d{1,6})\d*)?)?)?"
    r" ?(?:(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)(?:\[[\w/+-]+\])?)?$"
)
"""A date, or a date and time with or without seconds, fraction and zone; without a zone it is UTC. The name of a zone
in brackets after its offset says nothing more."""
BASIC = r"^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})"
"""Begin of a time of ISO 8601 without hyphens and colons, as in 20260131T205900Z."""
BASIC_SECOND = r"^(.{16})(\d{2})"
YEARS = (1000, 3000)
"""A plain number between these in a catalogue's date column is a year."""
COMPACT = {1e7: 1_000_000, 1e9: 10_000, 1e11: 100, 1e13: 1}
"""Least number of each compact form (YYYYMMDD, YYYYMMDDhh, …hhmm, …hhmmss) → factor that makes it the longest."""
COMPACT_YEARS = (1900, 2100)
COMPACT_SHARE = 0.9
"""Minimum share of a column's numbers that are a date in one of these forms. One in a hundred seconds since 1970 looks
like YYYYMMDDhh."""
CALENDAR = tuple(int(np.datetime64(day, "us").astype(np.int64)) for day in ("0001-01-02", "9999-12-30"))
"""µs since 1970 between which a time is a date of the calendar, in any time zone."""
CALENDAR_ENDS = CALENDAR[1] + 2 * 86_400 * MICROS + 43_200 * MICROS
"""9999-12-31, which stands for "no end" in other systems, in the last time zone: as good as the day before."""
LAST_YEAR = 9999


@dataclass(frozen=True)
class ParsedTimestamps:
    """A column of times, parsed cell by cell.

    Attributes:
        micros: [n] int64 for dated cells.
        numbers: [n] float64 for plain numbers, NaN elsewhere.
        dated: [n] mask of dated cells.
        bad: [n] mask of invalid cells; an empty cell is neither dated nor a number nor invalid.
    """

    micros: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]
    dated: Mask
    bad: Mask


def read_moments(cells: pa.Array) -> ParsedTimestamps:
    """Parse a column of timestamps, dates, numbers or text (UTF-8)."""
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # Truncation below 1 µs is acceptable; a cell that overflows int64 µs is no date of the calendar.
        micros = cast_or_null(cells, pa.timestamp("us", getattr(kind, "tz", None)), safe=kind == pa.timestamp("s"))
        reading = _dated(micros.cast(pa.int64()))
        return replace(reading, bad=mask_of(pc.and_(cells.is_valid(), micros.is_null())))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = cells.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
        nothing = np.zeros(len(cells), bool)
        return _compact(ParsedTimestamps(np.zeros(len(cells), np.int64), numbers, nothing, np.isinf(numbers)))
    return _compact(_read_text(_with_hyphens(pc.utf8_trim_whitespace(cells))))


def unit_of(numbers: npt.NDArray[np.float64]) -> str:
    """Unit of plain numbers by their median size: `order`, or `s`, `ms`, `µs`, `ns` since the epoch."""
    middle = float(np.nanmedian(np.abs(numbers)))
    if middle < ORDER_BELOW:
        return "order"
    return "s" if middle < 1e11 else "ms" if middle < 1e14 else "µs" if middle < 1e17 else "ns"


def as_positions(reading: ParsedTimestamps) -> tuple[npt.NDArray[np.int64], Mask]:
    """(positions, invalid): whole numbers from 0; a dated cell among positions counts by its µs."""
    whole = np.isfinite(reading.numbers) & (reading.numbers >= 0) & (reading.numbers == np.floor(reading.numbers))
    bad = reading.bad | (np.isfinite(reading.numbers) & ~whole)
    return np.where(whole, np.where(whole, reading.numbers, 0), reading.micros).astype(np.int64), bad


def as_micros(reading: ParsedTimestamps, unit: str) -> tuple[npt.NDArray[np.int64], Mask]:
    """(µs since the epoch, invalid) if plain numbers are in `unit`."""
    bare = np.isfinite(reading.numbers)
    with np.errstate(over="ignore"):  # a number beyond all dates is invalid, and needs no warning of numpy
        scaled = np.where(bare, reading.numbers, 0) * UNITS[unit]
    bad = reading.bad | (np.abs(scaled) > 9e18)
    return np.where(bare & ~bad, np.round(np.where(bad, 0, scaled)), reading.micros).astype(np.int64), bad


def as_dates(reading: ParsedTimestamps) -> tuple[npt.NDArray[np.int64], Mask]:
    """(µs since the epoch, invalid) for a catalogue's dates: a plain number may be a year; what no calendar has is
    invalid."""
    numbers = reading.numbers
    year = (numbers >= YEARS[0]) & (numbers < YEARS[1]) & (numbers == np.floor(numbers)) | (numbers == LAST_YEAR)
    starts = np.where(year, np.where(year, numbers, 1970) - 1970, 0).astype("datetime64[Y]").astype("datetime64[us]")
    rest = np.where(year, np.nan, numbers)
    unit = unit_of(rest) if np.isfinite(rest).any() else "s"
    micros, bad = as_micros(
        ParsedTimestamps(reading.micros, rest, reading.dated, reading.bad), "s" if unit == "order" else unit
    )
    micros = np.where(year, starts.astype(np.int64), micros)
    last = (micros > CALENDAR[1]) & (micros < CALENDAR_ENDS)
    micros = np.where(last, CALENDAR[1], micros)
    return micros, bad | (micros < CALENDAR[0]) | (micros > CALENDAR[1])


def stands_for_no_date(reading: ParsedTimestamps, *, of_an_end: bool) -> Mask:
    """[n] cells of a catalogue's date column that other systems write where there is no date: 0, -1 and the calendar's
    first day. of_an_end: an end before the second day of 1970, however it is written, stands for none either."""
    first = reading.dated & (reading.micros < CALENDAR[0])
    if of_an_end:
        return first | (reading.numbers <= 0) | (reading.dated & (reading.micros < DAY))
    return first | np.isin(reading.numbers, (0, -1))


def _compact(reading: ParsedTimestamps) -> ParsedTimestamps:
    """The same times, where numbers that are written like 20260131 or 20260131205900 are dates."""
    numbers = reading.numbers
    finite = np.isfinite(numbers)
    whole = finite & (numbers >= COMPACT_YEARS[0] * 1e4) & (numbers < 1e14) & (numbers == np.floor(numbers))
    if not whole.any() or whole.sum() < COMPACT_SHARE * finite.sum():
        return reading
    digits = np.where(whole, numbers, 0).astype(np.int64)
    for least, factor in COMPACT.items():
        digits = np.where((numbers >= least) & (numbers < 10 * least), digits * factor, digits)
    day, second = np.divmod(digits, 1_000_000)
    month, day = np.divmod(day, 100)
    year, month = np.divmod(month, 100)
    hour, minute, second = second // 10_000, second // 100 % 100, second % 100
    fits = whole & (year >= COMPACT_YEARS[0]) & ((year < COMPACT_YEARS[1]) | (year == LAST_YEAR))
    fits &= (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(fits, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + np.where(fits, day - 1, 0)
    fits &= (dates.astype("datetime64[M]") == months) & (hour < 24) & (minute < 60) & (second < 60)
    if fits.sum() < COMPACT_SHARE * finite.sum():
        return reading
    seconds = dates.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second
    return ParsedTimestamps(
        np.where(fits, seconds * MICROS, reading.micros),
        np.where(fits, np.nan, numbers),
        reading.dated | fits,
        reading.bad,
    )


def _dated(micros: pa.Array) -> ParsedTimestamps:
    values = micros.fill_null(0).to_numpy(zero_copy_only=False)
    known = micros.is_valid().to_numpy(zero_copy_only=False)
    return ParsedTimestamps(values, np.full(len(values), np.nan), known, np.zeros(len(values), bool))


def _with_hyphens(cells: pa.Array) -> pa.Array:
    """Times of ISO 8601 with hyphens and colons; other cells as they are."""
    basic = pc.match_substring_regex(cells, BASIC)
    if not pc.any(basic).as_py():
        return cells
    long = pc.replace_substring_regex(cells, BASIC, r"\1-\2-\3T\4:\5")
    return pc.if_else(basic, pc.replace_substring_regex(long, BASIC_SECOND, r"\1:\2"), cells)


def _read_text(cells: pa.Array) -> ParsedTimestamps:
    given = mask_of(pc.and_(cells.is_valid(), pc.invert(pc.match_substring_regex(cells, NOTHING))))
    number = mask_of(pc.match_substring_regex(cells, NUMBER)) & given
    numbers = cast_or_null(pc.if_else(pa.array(number), cells, None), pa.float64())
    parts = pc.extract_regex(cells, ISO)
    iso = parts.is_valid()
    text = pc.binary_join_element_wise(
        parts.field("date"),
        "T",
        _or(parts.field("minute"), "00:00"),
        _or(parts.field("second"), ":00"),
        ".",
        _or(parts.field("part"), "0"),
        "",
    )
    micros = cast_or_null(pc.if_else(iso, text, None), pa.timestamp("us"))
    values = micros.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    dated = micros.is_valid().to_numpy(zero_copy_only=False)
    shift = _zone_micros(pc.if_else(iso, parts.field("zone"), ""))
    bare = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return ParsedTimestamps(values - shift, bare, dated, given & ~dated & ~np.isfinite(bare))


def _or(cells: pa.Array, other: str) -> pa.Array:
    return pc.if_else(pc.equal(cells, ""), other, cells)


def _zone_micros(zones: pa.Array) -> npt.NDArray[np.int64]:
    """[n] offset of each cell's time zone from UTC; computed once per distinct zone."""
    coded = zones.fill_null("").dictionary_encode()
    ahead = np.array([_ahead(zone) for zone in coded.dictionary.to_pylist()] or [0], np.int64)
    result: npt.NDArray[np.int64] = ahead[coded.indices.to_numpy(zero_copy_only=False)]
    return result


def _ahead(zone: str) -> int:
    if zone in ("", "Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (minutes if zone[0] == "+" else -minutes) * 60 * MICROS
