"""The files of a run that the report is made from; each may be missing."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """The contents of a run's files.

    verdict, report: evaluate's; validated: validate's report; curves: file stem → rows; costs: stage → wall_seconds
    and peak_mb, of its last run on this machine; reads: protocol → number of configurations evaluated on its test
    split; documents: every JSON output of a stage, by `stage/name` (`validate/report`); notes: stage →
    non-deterministic facts (latency, cache hits).
    """

    recipe: str
    verdict: Row
    report: Row
    cold: list[Row]
    validated: Row
    source: Row
    receipt: Row
    curves: Mapping[str, list[Row]]
    costs: Mapping[str, Row]
    reads: Mapping[str, int]
    documents: Mapping[str, Any]
    notes: Mapping[str, Row]

    @property
    def first(self) -> bool:
        """Whether the candidate was compared with no champion."""
        return not self.verdict.get("comparison")

    @property
    def served(self) -> str:
        """The evaluated lists: the challenger's where there is a champion, else the name of their model."""
        return str(self.verdict.get("model") or "blend") if self.first else "challenger"

    def level(self, name: str = "confidence") -> str:
        """A confidence level of evaluate in percent (`95% `); empty where the run did not store it."""
        value = self.report.get("levels", {}).get(name)
        return "" if value is None else f"{value * 100:.4g}% "


def read_facts(data: Path, notes: Path, stages: tuple[str, ...]) -> RunFacts:
    """Read a run's files.

    Args:
        data: The run's data folder.
        notes: The state directory's folder of notes.
        stages: The pipeline's stages, in order.
    """
    cold = _json(data / "evaluate" / "cold_start.json")
    plots = sorted([*(data / "finetune" / "plots").glob("*.csv"), *(data / "evaluate" / "plots").glob("*.csv")])
    costs = {stage: _object(notes / f"{stage}.cost.json") for stage in stages}
    documents = {f"{path.parent.name}/{path.stem}": _json(path) for path in sorted(data.glob("*/*.json"))}
    return RunFacts(
        recipe=str(_object(data / "snapshot" / "recipe.json").get("recipe", "")),
        verdict=_object(data / "evaluate" / "verdict.json"),
        report=_object(data / "evaluate" / "report.json"),
        cold=cold if isinstance(cold, list) else [],
        validated=_object(data / "validate" / "report.json"),
        source=_object(data / "snapshot" / "source.json"),
        receipt=_object(data / "publish" / "receipt.json"),
        curves={path.stem: _rows(path) for path in plots},
        costs={stage: cost for stage, cost in costs.items() if cost},
        reads=_object(notes / "evaluate.json").get("test_reads", {}),
        notes={stage: note for stage in stages if (note := _object(notes / f"{stage}.json"))},
        documents={name: found for name, found in documents.items() if found is not None},
    )


def _object(path: Path) -> Row:
    value = _json(path)
    return value if isinstance(value, dict) else {}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
