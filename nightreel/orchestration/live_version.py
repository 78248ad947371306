"""One line on what is served at the end of a run: the version, its date, and what was withdrawn tonight."""

from __future__ import annotations

import json
from typing import Any

import yaml

from nightreel.orchestration.project import Project
from nightreel.settings import yaml_values


def channel_of(project: Project) -> str:
    """The channel that a run in this place publishes to."""
    try:
        return str(yaml_values.read((project.root / "params.yaml").read_text("utf-8"))["snapshot"]["channel"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return "live"


def served(project: Project, channel: str, began: float) -> str:
    """Return the line; empty if nothing is live or the store can't be read, because a summary must not fail for it.

    Args:
        project: Where the run took place.
        channel: The channel that it publishes to.
        began: When it began, in epoch seconds; earlier withdrawals are not tonight's.
    """
    from nightreel.errors import UserError
    from nightreel.store import channels
    from nightreel.store.open import open_store, store_uri

    try:
        store = open_store(store_uri(state=project.state))
        pointer = channels.live(store, channel)
        if pointer is None:
            return ""
        since = str(channels.lineage(store, pointer.digest).get("published_at") or "")[:10]
    except (UserError, OSError):
        return ""
    line = f"serving {pointer.digest[:12]}{f' of {since}' if since else ''}"
    return "; ".join(filter(None, [line, withdrawn(project, began)]))


def withdrawn(project: Project, began: float) -> str:
    """What stage `withdraw` withdrew in the run that began then, in words; empty if it did not run."""
    path = project.state / "notes" / "withdraw.json"
    try:
        note: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.stat().st_mtime >= began else {}
    except (OSError, ValueError):
        note = {}
    if not note:
        return ""
    counts = [f"{note[kind]:,} {kind if note[kind] != 1 else kind[:-1]}" for kind in ("items", "users") if note[kind]]
    kept = "some withdrawals were not applied, see the warnings of stage withdraw" if note["warnings"] else ""
    return "; ".join(filter(None, [f"withdrawn tonight: {', '.join(counts) or 'nothing new'}", kept]))
