"""Every row that came in is clean, quarantined or erased: the sums, and the verdict on them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.contracts import TABLES
from tasks.data.marks import count_rules
from tasks.stage import UserError


@dataclass(frozen=True)
class Account:
    """One table's rows. rules: (rule, column, rows, examples), the most frequent first."""

    table: str
    rows_in: int
    clean: int
    quarantined: int
    erased: int
    rules: list[tuple[str, str, int, pa.Table]]

    @property
    def share(self) -> float:
        """Quarantined share of the rows that came in."""
        return self.quarantined / self.rows_in if self.rows_in else 0.0


def account(table: str, rows_in: int, clean: int, erased: int, quarantine: pa.Table) -> Account:
    """Balance a table's books; raises RuntimeError when a row was lost or counted twice: that is our bug."""
    quarantined = int(pc.sum(pc.equal(quarantine["table"], table)).as_py() or 0)
    if rows_in != clean + quarantined + erased:
        raise RuntimeError(
            f"{table}: {rows_in:,} rows in, but {clean:,} clean + {quarantined:,} quarantined + {erased:,} erased"
        )
    return Account(table, rows_in, clean, quarantined, erased, count_rules(quarantine, table))


def require_acceptable(accounts: list[Account], limit: float, report: str) -> None:
    """Raise UserError with the worst rules when a table has no clean row left, or too many quarantined ones.

    limit: the share that may be quarantined; report: where the whole report is.
    """
    faults = []
    for own in accounts:
        if own.rows_in and own.quarantined == own.rows_in:
            faults.append(_complaint(own, f"all {own.rows_in:,} rows are quarantined"))
        elif TABLES[own.table].required and own.clean == 0:
            faults.append(f"{own.table}: no clean row is left: {own.erased:,} of {own.rows_in:,} rows are erased, "
                          f"{own.quarantined:,} quarantined.")  # fmt: skip
        elif own.share > limit:
            some = f"{own.quarantined:,} of {own.rows_in:,} rows ({own.share:.1%}) are quarantined"
            faults.append(_complaint(own, f"{some}, more than validate.quarantine_share = {limit:.1%}"))
    if faults:
        remedy = "Correct the source, or raise validate.quarantine_share. All rules and rows:"
        raise UserError("\n".join([*faults, f"{remedy} {report}"]))


def _complaint(own: Account, what: str) -> str:
    lines = [f"{own.table}: {what}:"]
    for rule, column, n, examples in own.rules[:5]:
        first = examples.slice(0, 1).to_pylist()[0]
        place = f"{first['source_file']} row {first['source_row']}"
        lines.append(f"  {n:,} × {named(rule, column)}, first in {place}: {first['row']}")
    return "\n".join(lines)


def named(rule: str, column: str) -> str:
    """A rule with its column, for people."""
    return f"{rule} in `{column}`" if column else rule
