"""Row counts: every row that was read is clean, quarantined or erased; too many quarantined rows stop the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import TABLES, VALUE_BOUNDS
from nightreel.data.ingest.casting import Mask
from nightreel.data.quality.future_events import RULE as FUTURE
from nightreel.data.quality.new_rows import Part, arrived, spoilt_days
from nightreel.data.quality.row_checks import CLOCK, TOLD_TWICE
from nightreel.data.quality.row_outcomes import DUPLICATE, RowOutcomes
from nightreel.data.quality.violations import count_rules
from nightreel.errors import UserError

NAMED = 5
"""Maximum number of parts of a table, of rules, and of values, in a message."""
WHY = {
    FUTURE: "its timestamp is later than the run that read it. Check the clocks of the device and of this machine.",
    CLOCK: "its timestamp is before 1990, or long after all but a few users' events. Check the device's clock.",
}
HINTS = {
    FUTURE: "Timestamps without a time zone are read as UTC: check the source's time zone and this machine's clock.",
    CLOCK: "Check for a mix of seconds and milliseconds, and the clocks of devices.",
    "encoding": "Save the file as UTF-8, and remove control characters.",
    DUPLICATE: "An earlier row says the same (see validate.duplicate_window_s for events). Was a file delivered twice?",
}
UNKNOWN = "unknown value"
BY_ITSELF = (UNKNOWN, "impossible value", "wrong type")
"""Rules about a cell by itself, whose message says what the cell should hold."""
Rules = list[tuple[str, str, int, pa.Table]]


@dataclass(frozen=True)
class Account:
    """Counts of one table's rows. rules: (rule, column, rows, examples), most frequent first."""

    table: str
    rows_in: int
    clean: int
    quarantined: int
    erased: int
    rules: Rules

    @property
    def share(self) -> float:
        """Share of faulty rows among those that were read. An impression told twice is no fault."""
        faulty = self.quarantined - sum(n for rule, _, n, _ in self.rules if rule == TOLD_TWICE)
        return faulty / self.rows_in if self.rows_in else 0.0


def account(table: str, rows_in: int, clean: int, erased: int, quarantine: pa.Table) -> Account:
    """Count a table's rows; raises RuntimeError if a row was lost or counted twice, which is a bug."""
    quarantined = int(pc.sum(pc.equal(quarantine["table"], table)).as_py() or 0)
    if rows_in != clean + quarantined + erased:
        raise RuntimeError(
            f"{table}: {rows_in:,} rows read, but {clean:,} clean + {quarantined:,} quarantined + {erased:,} erased"
        )
    return Account(table, rows_in, clean, quarantined, erased, count_rules(quarantine, table))


def require_acceptable(
    accounts: Sequence[Account],
    tables: Sequence[RowOutcomes],
    known: Mapping[str, Any] | None,
    limit: float,
    least: int,
) -> None:
    """Raise UserError with the most frequent rules if a table has no clean row left, or too many quarantined ones: in
    the whole table, a file, a day, or among the rows added since the last accepted night.

    Args:
        accounts: Counts of the tables.
        tables: Outcomes of their rows, in the same order.
        known: The rows of the last accepted night (see row_outcomes.remembered); None in a first run.
        limit: Maximum share of quarantined rows.
        least: Minimum number of rows of a file, a day or a night for which this share is checked.
    """
    faults = []
    for own, each in zip(accounts, tables, strict=True):
        whole = _whole(own, each, limit)
        faults += [whole] if whole else _parts(each, known, limit, least)
    if faults:
        raise UserError("\n".join(faults))


def small_parts(tables: Sequence[RowOutcomes], known: Mapping[str, Any] | None, limit: float, least: int) -> list[str]:
    """Warnings about parts with too many invalid rows, but too few rows to stop the run; arguments as above."""
    warnings = []
    for each in tables:
        parts = [part for part in arrived(each, known, least) if part.n < least and part.share > limit]
        for part, bad in _each_once(parts):
            rule, column, _, _ = count_rules(_of(each, bad), each.table)[0]
            warnings.append(
                f"{each.table}: {part.faults:,} of {part.n:,} rows {part.where} are quarantined, most of them by the "
                f"rule {named(rule, column)}; a part with fewer than validate.part_rows = {least:,} rows doesn't stop "
                "the run."
            )
    return warnings


def bad_days(tables: Sequence[RowOutcomes], limit: float, least: int) -> list[str]:
    """A warning for each table with days of which too many rows are quarantined, whether they are new or not."""
    warnings = []
    for each in tables:
        days = sorted(spoilt_days(each, limit, least), key=lambda part: -part.share)
        if days:
            named_days = "; ".join(f"{part.faults:,} of {part.n:,} rows {part.where}" for part in days[:NAMED])
            warnings.append(
                f"{each.table}: {len(days):,} days have more than {limit:.1%} of their rows quarantined: {named_days}."
            )
    return warnings


def odd_clocks(accounts: Sequence[Account]) -> list[str]:
    """A warning for each violated rule about time: a wrong clock is easily overlooked among many events."""
    warnings = []
    for own in accounts:
        for rule, _, n, examples in own.rules:
            if rule in WHY:
                first = examples.slice(0, 1).to_pylist()[0]
                place = f"{first['source_file']} row {first['source_row']}"
                shown = f"{n:,} row{'s' if n > 1 else ''} {'are' if n > 1 else 'is'} quarantined by the rule `{rule}`"
                warnings.append(f"{own.table}: {shown}, the first in {place}: {WHY[rule]}")
    return warnings


def lost_requests(accounts: Sequence[Account]) -> list[str]:
    """A warning about erasure requests that can't be read: few of them don't stop the run, but nobody is erased."""
    own = next(each for each in accounts if each.table == "erasures")
    if not own.quarantined:
        return []
    first = own.rules[0][3].slice(0, 1).to_pylist()[0]
    return [
        f"erasures: {own.quarantined:,} of {own.rows_in:,} requests can't be read, so nothing is erased for them, the "
        f"first in {first['source_file']} row {first['source_row']}. Correct these rows."
    ]


def _whole(own: Account, each: RowOutcomes, limit: float) -> str | None:
    """The error of a table as a whole, if any."""
    if own.rows_in and own.quarantined == own.rows_in:
        return _complaint(own.table, f"all {own.rows_in:,} rows are quarantined", each.quarantine)
    if TABLES[own.table].required and own.clean == 0:
        return (
            f"{own.table}: no clean row remains: {own.erased:,} of {own.rows_in:,} rows are erased, "
            f"{own.quarantined:,} quarantined."
        )
    if own.share > limit:
        some = f"{own.quarantined:,} of {own.rows_in:,} rows ({own.share:.1%}) are quarantined"
        return _complaint(own.table, f"{some}, more than validate.quarantine_share = {limit:.1%}", each.quarantine)
    return None


def _parts(each: RowOutcomes, known: Mapping[str, Any] | None, limit: float, least: int) -> list[str]:
    """Errors of parts of a table."""
    parts = [part for part in arrived(each, known, least) if part.n >= least and part.share > limit]
    found = list(_each_once(parts))
    faults = []
    for part, bad in found[:NAMED]:
        some = f"{part.faults:,} of {part.n:,} rows {part.where} ({part.share:.1%}) are quarantined"
        what = f"{some}, more than validate.quarantine_share = {limit:.1%}"
        faults.append(_complaint(each.table, what, _of(each, bad)))
    more = len(found) - NAMED
    return [*faults, f"{each.table}: the same holds for {more:,} more files or days."] if more > 0 else faults


def _each_once(parts: Sequence[Part]) -> list[tuple[Part, Mask]]:
    """The parts with their invalid rows, without parts whose invalid rows are all in earlier ones."""
    found: list[tuple[Part, Mask]] = []
    covered: Mask | None = None
    for part in parts:
        bad = part.bad()
        if covered is None or (bad & ~covered).any():
            found.append((part, bad))
            covered = bad if covered is None else covered | bad
    return found


def _of(each: RowOutcomes, bad: Mask) -> pa.Table:
    """The quarantined rows of a part."""
    return each.quarantine.filter(pa.array(bad[each.bad]))


def _complaint(table: str, what: str, quarantine: pa.Table) -> str:
    rules = count_rules(quarantine, table)[:NAMED]
    lines = [f"{table}: {what}:"]
    for rule, column, n, examples in rules:
        first = examples.slice(0, 1).to_pylist()[0]
        place = f"{first['source_file']} row {first['source_row']}"
        values = _values(quarantine, column) if rule == UNKNOWN else ""
        wanted = f" ({values}expected: {_wanted(table, column)})" if rule in BY_ITSELF else ""
        lines.append(f"  {n:,} × {named(rule, column)}, first in {place}: {first['row']}{wanted}")
    lines += [f"  {rule}: {HINTS[rule]}" for rule in dict.fromkeys(rule for rule, *_ in rules) if rule in HINTS]
    return "\n".join(lines)


def _values(quarantine: pa.Table, column: str) -> str:
    """The most frequent unknown values of a column, with their numbers of rows."""
    rows = quarantine.filter(pc.and_(pc.equal(quarantine["rule"], UNKNOWN), pc.equal(quarantine["column"], column)))
    found = Counter(json.loads(row)[column] for row in rows["row"].to_pylist()).most_common()
    shown = ", ".join(f"{value} {n:,}" for value, n in found[:NAMED])
    return f"{shown}{', …' if len(found) > NAMED else ''}; " if len(found) > 1 else ""


def _wanted(table: str, column: str) -> str:
    """What the contract allows in a column."""
    if (table, column) == ("events", "value"):
        return "; ".join(f"{event} {low:g} to {high:g}" for event, (low, high) in VALUE_BOUNDS.items())
    return TABLES[table][column].wanted


def named(rule: str, column: str) -> str:
    """A rule with its column, for display."""
    return f"{rule} in `{column}`" if column else rule
