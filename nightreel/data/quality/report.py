"""The validation report: rows read, kept and quarantined, with reasons, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.histories import most_usual
from nightreel.data.quality.row_checks import suspected_mojibake
from nightreel.data.quality.row_counts import Account, named
from nightreel.data.splits import Events


def as_json(accounts: list[Account], warnings: list[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "tables": {
            own.table: {
                "in": own.rows_in,
                "clean": own.clean,
                "quarantined": own.quarantined,
                "erased": own.erased,
                "rules": [
                    {"rule": rule, "column": column, "rows": n, "examples": rows.drop_columns(["table"]).to_pylist()}
                    for rule, column, n, rows in own.rules
                ],
            }
            for own in accounts
        },
        "warnings": warnings,
        "facts": dict(facts),
    }


def as_markdown(accounts: list[Account], warnings: list[str], facts: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Validation report",
        "",
        "| table | rows read | = clean | + quarantined | + erased | share quarantined |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {a.table} | {a.rows_in:,} | {a.clean:,} | {a.quarantined:,} | {a.erased:,} | {a.share:.2%} |"
        for a in accounts
    ]
    broken = [(own, *rule) for own in accounts for rule in own.rules]
    if broken:
        lines += ["", "## Rule violations", "", "| table | rule | rows | example |", "|---|---|---:|---|"]
    for own, rule, column, n, examples in broken:
        first = examples.slice(0, 1).to_pylist()[0]
        row = str(first["row"]).replace("|", "\\|")
        place = f"{first['source_file']} row {first['source_row']}"
        lines.append(f"| {own.table} | {named(rule, column)} | {n:,} | {place}: `{row}` |")
    if warnings:
        lines += ["", "## Warnings", "", *[f"- {warning}" for warning in warnings]]
    lines += [
        "",
        "## Statistics",
        "",
        *[f"- {name.replace('_', ' ')}: {_shown(value)}" for name, value in facts.items()],
    ]
    return "\n".join(lines) + "\n"


def metrics(accounts: list[Account], facts: dict[str, Any]) -> dict[str, Any]:
    """The metrics that `dvc metrics` compares between runs."""
    rows = {
        a.table: {"in": a.rows_in, "clean": a.clean, "quarantined": a.quarantined, "erased": a.erased} for a in accounts
    }
    names = ("users", "items", "positive_share", "density", "cold_item_share")
    return {"rows": rows, **{name: facts[name] for name in names}}


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def warn(
    items: pa.Table, events: Events, ratings: pa.Table, user_ids: Sequence[str], refused: Mapping[str, str]
) -> list[str]:
    """Warnings about valid but unusual data. items: clean ones with their source rows; ratings: the clean events'
    table; user_ids: [users]."""
    warnings = [f"the split `{name}` is not available: {reason}." for name, reason in refused.items()]
    idle = items.num_rows - len(np.unique(events.item[events.item >= 0]))
    if idle:
        warnings.append(
            f"{idle:,} of {items.num_rows:,} items without events: only content-based models can recommend them."
        )
    known = np.bincount(events.user[events.positive], minlength=int(events.user.max()) + 1)
    if (known == 0).any():
        warnings.append(
            f"{int((known == 0).sum()):,} of {len(known):,} users have no positive event: they receive popular items."
        )
    if known.max() > (most := most_usual(known)):
        heavy = np.flatnonzero(known > most)
        warnings.append(
            f"{len(heavy):,} of {len(known):,} users have more than ten times the positive events of 95% of all users, "
            f"together {known[heavy].sum() / known.sum():.0%} of the events; the most, {known.max():,}, has user "
            f"{user_ids[int(known.argmax())]}. Where popularity is counted, each of them counts as {most:,.0f} events "
            "at most. Leave them out if they are bots or test accounts."
        )
    rated = pc.equal(ratings["event"].cast(pa.string()), "rating")
    low = pc.sum(pc.and_(rated, pc.less(ratings["value"], 1.0))).as_py()
    if low:
        warnings.append(f"{low:,} ratings are below 1: interpreted as a half-star scale from 0.5.")
    for column in ("title", "description"):
        rows = suspected_mojibake(items[column])
        if rows:
            places = items.take(pa.array(rows[:3])).select(["source_file", "source_row"]).to_pylist()
            named_rows = ", ".join(f"{place['source_file']} row {place['source_row']}" for place in places)
            warnings.append(
                f"{len(rows):,} of {items.num_rows:,} items: the {column} was decoded with the wrong character set "
                f"(such as AmÃ©lie for Amélie): {named_rows}{', …' if len(rows) > 3 else ''}. Export them as UTF-8."
            )
    return warnings


def day(moment: float, clock: str) -> str:
    """A time for display: a date and time, or a position."""
    return f"{moment:g}" if clock == "order" else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
