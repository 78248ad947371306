"""What is served while a night ends, in a line: which version, since when, and what was withdrawn tonight."""

from __future__ import annotations

import json
import os
from typing import Any

import yaml

from nightreel.orchestration.project import Project


def channel_of(project: Project) -> str:
    """The channel that a night in this place publishes to."""
    try:
        return str(yaml.safe_load((project.root / "params.yaml").read_text("utf-8"))["snapshot"]["channel"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return "live"


def served(project: Project, channel: str, began: float) -> str:
    """The line; empty where nothing is live, or the store can't be asked: a night's summary never fails for it.

    Args:
        project: where the night ran.
        channel: the one that it publishes to.
        began: when it began, epoch seconds; withdrawals that were noted before are not tonight's.
    """
    from nightreel.errors import UserError
    from nightreel.store import channels
    from nightreel.store.open import open_store

    try:
        store = open_store(os.environ.get("NIGHTREEL_STORE") or str(project.state / "store"))
        pointer = channels.live(store, channel)
        if pointer is None:
            return ""
        since = str(channels.lineage(store, pointer.digest).get("published_at") or "")[:10]
    except (UserError, OSError):
        return ""
    told = f"{pointer.digest[:12]}{f' of {since}' if since else ''} is served"
    return "; ".join(filter(None, [told, withdrawn(project, began)]))


def withdrawn(project: Project, began: float) -> str:
    """What stage `withdraw` took from what is live in the night that began then."""
    path = project.state / "notes" / "withdraw.json"
    try:
        note: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.stat().st_mtime >= began else {}
    except (OSError, ValueError):
        note = {}
    if not note:
        return ""
    counts = [f"{note[kind]:,} {kind if note[kind] != 1 else kind[:-1]}" for kind in ("items", "users") if note[kind]]
    kept = "a part was not taken over, see its warnings" if note["warnings"] else ""
    return "; ".join(filter(None, [f"withdrawn tonight: {', '.join(counts) or 'nothing more'}", kept]))
