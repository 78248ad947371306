"""A small bundle whose version has heads: what came of items is made up, all else is real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.bundle.format import read_manifest, seal
from nightreel.models.engine import Engine
from nightreel.models.outcomes.heads import Curve, Heads
from nightreel.models.training.heads.head_selection import fit_head
from nightreel.models.training.heads.outcome_examples import OutcomeExamples
from nightreel.settings.finetune import TreeSettings
from tests.support.bundles import write_bundle
from tests.support.settings import settings

TREES: TreeSettings = settings().finetune.trees.model_copy(update={"min_data_in_leaf": 5, "num_trees": (20,)})
WANTED = Curve(1.0, -2.0)


def heads_of(engine: Engine, rows: int = 30) -> Heads:
    """Heads of `like` and `dislike`: items that few have taken are liked, and popular ones disliked."""
    rng = np.random.default_rng(0)
    columns = ("popular.0", "history")
    share = rng.random(rows * 40).astype(np.float32)
    matrix = np.column_stack([share, np.zeros_like(share)])
    labels = np.column_stack([share < 0.5, share >= 0.5])
    users, none = np.repeat(np.arange(rows * 4), 10), np.zeros(len(share))
    examples = OutcomeExamples(columns, ("like", "dislike"), matrix, labels, users, none)
    return Heads(columns, WANTED, {name: fit_head(examples, name, TREES, 1, 1) for name in examples.outcomes})


def write_valued(folder: Path, value: dict[str, float] | None = None, **changes: Any) -> str:
    """A bundle as of `write_bundle` with heads, whose own values are `value`; returns its digest."""
    write_bundle(folder, **changes)
    path = folder / "engine" / "engine.json"
    heads = heads_of(Engine.open(folder))
    heads.write(folder / "engine")
    described = json.loads(path.read_text("utf-8")) | {"heads": heads.described()}
    path.write_text(json.dumps(described | ({"value": value} if value else {})), "utf-8")
    return seal(folder, read_manifest(folder).config)
