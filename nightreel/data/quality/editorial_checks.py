"""Checks of the table `rules`, as the reader will apply it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.editorial_rules import (
    ALL,
    ITEM,
    KINDS,
    SHAPES,
    Shape,
    comparable,
    general_languages,
    kind_and_name,
)
from nightreel.data.contract.tables import RULES
from nightreel.data.quality.row_checks import mark_columns
from nightreel.data.quality.violations import Violations
from nightreel.data.rules_together import RulesTogether
from nightreel.errors import UserError

NOTHING_LEFT = "leaves no item"
NAMED = 5
"""Targets that a warning names."""
Known = Mapping[str, frozenset[str]]


def mark_business_rules(rules: pa.Table, items: pa.Table, now: float = -np.inf) -> Violations:
    """Mark invalid rows of the table `rules`.

    A rule whose target matches no item is valid, see `unmet`; a rule that would leave every list empty is not, by
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
    known, youngest = _known(items), pc.min(items["min_age"]).as_py() if "min_age" in items.column_names else None
    faults = [_fault(row, known, youngest) for row in rules.to_pylist()]
    for rule, column in sorted({fault for fault in faults if fault}):
        marks.mark(np.array([fault == (rule, column) for fault in faults]), rule, column)
    sound = np.flatnonzero(marks.clean)
    rows = rules.to_pylist()
    last = sound[RulesTogether([rows[at] for at in sound], items, now).too_many()]
    marks.mark(np.isin(np.arange(rules.num_rows), last), NOTHING_LEFT, "target")
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


def unmet(rules: pa.Table, items: pa.Table) -> str | None:
    """A warning about targets that match no item; None if there are none."""
    if not rules.num_rows:
        return None
    known = _known(items)
    targets = [target for target in rules["target"].to_pylist() if not _is_known(target, known)]
    if not targets:
        return None
    more = ", …" if len(targets) > NAMED else ""
    return (
        f"rules: {len(targets):,} of {rules.num_rows:,} have a target that matches no item "
        f"({', '.join(targets[:NAMED])}{more}). They have no effect until an item matches; check the spelling."
    )


def _fault(row: Mapping[str, Any], known: Known, youngest: int | None) -> tuple[str, str] | None:
    """(rule of the contract, column) that a row violates, beyond what `mark_columns` finds."""
    shape = SHAPES.get(row["rule"])
    if shape is None:
        return None
    kind, name = kind_and_name(row["target"])
    if kind not in shape.targets:
        return ("empty cell" if kind == ALL else "impossible value"), "target"
    if kind != ALL and not name:
        return "empty cell", "target"
    value = row["value"]
    if value is None and shape.value == "needed":
        return "empty cell", "value"
    if value is not None and not _takes(shape, value):
        return "impossible value", "value"
    if row["starts_at"] is not None and row["ends_at"] is not None and row["ends_at"] <= row["starts_at"]:
        return "impossible value", "ends_at"
    if row["rule"] == "only" and not _is_known(row["target"], known):
        return NOTHING_LEFT, "target"
    if row["rule"] == "audience_age" and (youngest is None or youngest > value):
        return NOTHING_LEFT, "value"
    return None


def _takes(shape: Shape, value: float) -> bool:
    inside = shape.low <= value <= shape.high and value > shape.above
    return shape.value != "none" and inside and (not shape.whole or value == int(value))


def _is_known(target: str | None, known: Known) -> bool:
    kind, name = kind_and_name(target)
    return kind == ALL or name in known[kind]


def _known(items: pa.Table) -> dict[str, frozenset[str]]:
    """All possible targets, by kind."""
    found = {ITEM: frozenset(items["item_id"].to_pylist())}
    for kind, column in KINDS.items():
        cells = items[column] if column in items.column_names else pa.chunked_array([], pa.string())
        cells = pc.list_flatten(cells) if pa.types.is_list(cells.type) else cells
        labels = {comparable(label) for label in pc.unique(cells.drop_null()).to_pylist()}
        if kind == "language":  # zh includes zh-Hant
            labels = {tag for label in labels for tag in general_languages(label)}
        found[kind] = frozenset(labels)
    return found
