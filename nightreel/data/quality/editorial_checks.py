"""Checks of the table `rules`, as the reader will apply it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.editorial_rules import (
    ALL,
    ITEM,
    NO_ITEMS,
    OUTCOME,
    SHAPES,
    Shape,
    Target,
    items_by_target,
    kind_and_name,
)
from nightreel.data.contract.tables import RULES
from nightreel.data.quality.row_checks import mark_columns
from nightreel.data.quality.violations import Violations
from nightreel.data.rules_together import RulesTogether, labels_of
from nightreel.errors import UserError, listed
from nightreel.outcome_values import LARGEST, OUTCOMES

NOTHING_LEFT = "leaves no item"
COMPARED = 50_000
"""Labels up to which similar ones are looked for: it takes about a second."""
Known = Mapping[Target, Sequence[int]]


def mark_business_rules(rules: pa.Table, items: pa.Table, now: float = -np.inf) -> Violations:
    """Mark invalid rows of the table `rules`.

    A rule whose target matches no item is valid, see `unmatched`; a rule that would leave every list empty is not, by
    itself or together with those before it.

    Args:
        rules: The table.
        items: Clean items.
        now: Epoch seconds; what rules did before is not looked at.
    """
    marks = Violations(rules.num_rows)
    mark_columns(marks, RULES, rules)
    if not rules.num_rows:
        return marks
    rows = rules.to_pylist()
    faults = [_fault(row) for row in rows]
    for rule, column in sorted({fault for fault in faults if fault}):
        marks.mark(np.array([fault == (rule, column) for fault in faults]), rule, column)
    sound = np.flatnonzero(marks.clean)
    last = sound[RulesTogether([rows[at] for at in sound], items, now).too_many()]
    for column in ("target", "value"):
        taking = [at for at in last if ("value" if rows[at]["rule"] == "audience_age" else "target") == column]
        marks.mark(np.isin(np.arange(len(rows)), taking), NOTHING_LEFT, column)
    return marks


def require_some_left(quarantine: pa.Table) -> None:
    """Raise UserError if rules would leave no item to show; quarantine: schema.SET_ASIDE."""
    rows = quarantine.filter(pc.equal(quarantine["table"], "rules"))
    rows = rows.filter(pc.equal(rows["rule"], NOTHING_LEFT))
    if rows.num_rows:
        first = rows.slice(0, 1).to_pylist()[0]
        raise UserError(
            f"rules: with {first['source_file']} row {first['source_row']} ({first['row']}) and the rules before it, "
            "no item may be shown, so that every list would be empty. Correct or remove some of them."
        )


def unmatched(rules: pa.Table, items: pa.Table) -> list[str]:
    """The rules whose target matches no item, in order, each with a similar label or id where there is one."""
    rows = rules.to_pylist()
    known = _named(rows, items)
    missing = [row for row in rows if not _matches(row["target"], known)]
    return [f"{row['rule']} {row['target']}{_similar(row['target'], items)}" for row in missing]


def unmatched_warning(rules: pa.Table, items: pa.Table) -> str | None:
    """A warning about rules whose target matches no item; None if there are none."""
    missing = unmatched(rules, items)
    if not missing:
        return None
    return (
        f"rules: {len(missing):,} of {rules.num_rows:,} have a target that matches no item ({listed(missing)}). They "
        "have no effect until an item matches; check the spelling."
    )


def quarantined_warning(quarantine: pa.Table) -> str | None:
    """A warning about rules that are quarantined, since what they would hide is shown; None if there are none.
    quarantine: schema.SET_ASIDE."""
    rows = quarantine.filter(pc.equal(quarantine["table"], "rules")).to_pylist()
    if not rows:
        return None
    places = [f"{row['source_file']} row {row['source_row']}: {row['rule']} in `{row['column']}`" for row in rows]
    count = "1 faulty row has" if len(rows) == 1 else f"{len(rows):,} faulty rows have"
    return f"rules: {count} no effect, whatever they would hide ({listed(places)}).{value_hint(rows)}"


def value_hint(quarantined: Iterable[Mapping[str, Any]]) -> str:
    """What a rule `value` looks like, as a further sentence; empty where none is among faulty rows (schema.SET_ASIDE)
    of rules."""
    if not any(json.loads(row["row"]).get("rule") == "value" for row in quarantined):
        return ""
    return (
        f" A rule `value` has a target such as outcome:like (outcomes are {', '.join(OUTCOMES)}) and a number from "
        f"{-LARGEST:g} to {LARGEST:g}."
    )


def _fault(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """(rule of the contract, column) that a row violates, beyond what `mark_columns` finds."""
    shape = SHAPES.get(row["rule"])
    if shape is None:
        return None
    kind, name = kind_and_name(row["target"])
    if kind not in shape.targets:
        return ("empty cell" if kind == ALL else "impossible value"), "target"
    if kind != ALL and not name:
        return "empty cell", "target"
    if kind == OUTCOME and name not in OUTCOMES:
        return "impossible value", "target"
    value = row["value"]
    if value is None and shape.value == "needed":
        return "empty cell", "value"
    if value is not None and not _takes(shape, value):
        return "impossible value", "value"
    if row["starts_at"] is not None and row["ends_at"] is not None and row["ends_at"] <= row["starts_at"]:
        return "impossible value", "ends_at"
    return None


def _takes(shape: Shape, value: float) -> bool:
    inside = shape.low <= value <= shape.high and value > shape.above
    return shape.value != "none" and inside and (not shape.whole or value == int(value))


def _named(rows: Iterable[Mapping[str, Any]], items: pa.Table) -> Known:
    """Rows of the items that each target names."""
    targets = {kind_and_name(row["target"]) for row in rows}
    return items_by_target(targets, items["item_id"].to_pylist(), lambda kind: labels_of(items, kind))


def _matches(target: str | None, known: Known) -> bool:
    """Whether a target names an item, or needs not to."""
    key = kind_and_name(target)
    return key[0] in NO_ITEMS or bool(known[key])


def _similar(target: str, items: pa.Table) -> str:
    """A label or id that may have been meant, as a remark."""
    kind, name = kind_and_name(target)
    if kind == ITEM:
        known = dict.fromkeys(items["item_id"].to_pylist())
    else:
        known = dict.fromkeys(label for labels in labels_of(items, kind) for label in labels)
    folded = {label.casefold(): label for label in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75) if len(folded) <= COMPARED else []
    prefix = "" if kind == ITEM else f"{kind}:"
    return f" (similar: {prefix}{folded[near[0]]})" if near else ""
