"""What came of a night, read from its stages' files: the same for every door."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightreel.monitoring.night import Outcome, StageTime
from nightreel.stage import read_object

Facts = dict[str, Any]
METRIC = "ndcg@10"
COUNTS = {"events": "in", "set aside": "quarantined"}


def conclusion(root: Path, state: Path, stages: Sequence[StageTime]) -> Facts:
    """Fields of `Night` after a run whose stages all succeeded.

    Args:
        root: The folder in which it ran.
        state: The state directory.
        stages: How each stage ended.
    """
    data = root / "data"
    verdict, receipt = read_object(data / "evaluate" / "verdict.json"), read_object(data / "publish" / "receipt.json")
    note = read_object(state / "notes" / "publish.json")
    protocol, model = str(verdict.get("gate", "")), str(verdict.get("model", ""))
    interval = verdict.get("intervals", {}).get(model, {}).get(METRIC)
    outcome = outcome_of(receipt, moved=bool(note.get("moved", True)))
    return {
        **source_facts(root),
        "outcome": outcome,
        "reason": str((receipt.get("reason") if outcome == "empty" else verdict.get("sentence")) or ""),
        "label": str(verdict.get("label", "")),
        "version": receipt.get("digest"),
        "channel": receipt.get("channel", "live"),
        "metric": f"{METRIC.upper()} ({protocol})" if interval else "",
        "quality": interval,
        "stages": [each.model_dump() for each in stages],
    }


def of_dvc_repro(root: Path, state: Path, order: Sequence[str]) -> Facts:
    """Fields of `Night`, with `began`, after `dvc repro`, which tells nobody when it begins or what it ran: the notes
    of the stages do. order: names of the stages."""
    notes = {stage: state / "notes" / f"{stage}.cost.json" for stage in order}
    took = {stage: (path, read_object(path)) for stage, path in notes.items() if path.exists()}
    began = _began(*took[order[0]]) if order and order[0] in took else None
    stages = [
        StageTime(stage=stage, how="ran", seconds=float(note.get("wall_seconds", 0.0)))
        if began is not None and path.stat().st_mtime >= began
        else StageTime(stage=stage, how="unchanged", seconds=0.0)
        for stage, (path, note) in took.items()
    ]
    return conclusion(root, state, stages) | {"began": time.time() if began is None else began}


def _began(path: Path, note: Facts) -> float:
    return path.stat().st_mtime - float(note.get("wall_seconds", 0.0))


def source_facts(root: Path) -> Facts:
    """The fields about the source, as far as its stages wrote them."""
    data = root / "data"
    source, report = read_object(data / "snapshot" / "source.json"), read_object(data / "validate" / "report.json")
    events, splits = report.get("tables", {}).get("events", {}), read_object(data / "validate" / "splits.json")
    return {
        "source": source.get("name", ""),
        "recipe": read_object(data / "snapshot" / "recipe.json").get("recipe"),
        "data_until": splits.get("data_until") if splits.get("clock") == "time" else None,
        "rows": {name: int(events[key]) for name, key in COUNTS.items() if key in events},
    }


def outcome_of(receipt: Facts, *, moved: bool) -> Outcome:
    """The outcome that publish's receipt tells.

    Args:
        receipt: data/publish/receipt.json.
        moved: Whether the channel got another version.

    Example:
        >>> outcome_of({"decision": "reject", "published": True, "label": "refreshed"}, moved=True)
        'refreshed'
    """
    if receipt.get("dry_run"):
        return "dry run"
    if receipt.get("published"):
        if not moved:
            return "unchanged"
        return "refreshed" if receipt.get("label") == "refreshed" else "promoted"
    if receipt.get("decision") == "reject":
        return "rejected"
    return "held" if receipt.get("decision") == "hold" else "empty"
