"""Checks that enough items may be shown: a catalogue in which everything is hidden is a fault of the source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.ingest.casting import Mask, mask_of
from nightreel.errors import UserError

MOST = 0.5
"""Share of hidden or blocked items above which there is a warning."""
JUMP = 0.25
"""Increase of the blocked share since the last accepted night above which there is a warning."""


def require_shown(items: pa.Table, hidden: Collection[str]) -> None:
    """Raise UserError if no item may be shown.

    Args:
        items: Clean items with their source_file.
        hidden: Ids of those that may not be shown at the time of the run, see nightreel.data.hidden_tonight.
    """
    if not items.num_rows or _hidden(items, hidden).sum() < items.num_rows:
        return
    blocked = _blocked(items)
    files = ", ".join(sorted(pc.unique(items["source_file"]).to_pylist()))
    reasons = [f"{int(blocked.sum()):,} have `blocked` true"] if blocked.any() else []
    if not blocked.all():
        early_or_late = int((~blocked).sum())
        reasons.append(f"{early_or_late:,} are not yet published (`published_at`) or expired (`expires_at`)")
    raise UserError(
        f"items: none of the {items.num_rows:,} items of {files} may be shown today: {' and '.join(reasons)}. Every "
        "list would be empty. Correct these columns (one may be inverted, or its year wrong), or leave them out."
    )


def mostly_blocked(items: pa.Table) -> list[str]:
    """A warning if most clean items are blocked."""
    blocked = int(_blocked(items).sum())
    return [_most(blocked, items.num_rows, "have `blocked` true")] if blocked > MOST * items.num_rows else []


def showable_warnings(items: pa.Table, hidden: Collection[str], known: Mapping[str, Any] | None) -> list[str]:
    """Warnings that depend on the time or on the last accepted night: most items may not be shown, or many more are
    blocked.

    Args:
        items: Clean items.
        hidden: As above.
        known: Result of `remembered` of that night, under "shown"; None in a first run.
    """
    n, blocked, out = items.num_rows, _blocked(items), _hidden(items, hidden)
    found = []
    if out.sum() > MOST * n >= blocked.sum():
        found.append(_most(int(out.sum()), n, "are blocked, not yet published or expired"))
    before = (known or {}).get("shown")
    if before and before["items"] and blocked.mean() - before["blocked"] / before["items"] > JUMP:
        found.append(
            f"items: {int(blocked.sum()):,} of {n:,} have `blocked` true, {before['blocked']:,} of {before['items']:,} "
            "had in the last accepted night. Check whether that is intended."
        )
    return found


def remembered(items: pa.Table) -> dict[str, int]:
    """What a later run must know: {"items", "blocked"}, counts."""
    return {"items": items.num_rows, "blocked": int(_blocked(items).sum())}


def _most(count: int, of: int, what: str) -> str:
    return f"items: {count:,} of {of:,} {what}, so no list can hold them. Check whether that is intended."


def _blocked(items: pa.Table) -> Mask:
    return mask_of(items["blocked"])


def _hidden(items: pa.Table, hidden: Collection[str]) -> Mask:
    return _blocked(items) | mask_of(pc.is_in(items["item_id"], pa.array(sorted(hidden), pa.string())))
