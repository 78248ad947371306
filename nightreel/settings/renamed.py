"""Settings that were renamed after version 0.1. Old names are accepted for one version, with a warning."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

MODEL_FIELDS = {
    "ahead": "horizon",
    "ahead_decay": "horizon_decay",
    "keep": "top_weights",
    "neighbours": "neighbors",
    "passes": "epochs",
    "regularisation": "regularization",
    "resumed_passes": "resumed_epochs",
    "sweeps": "iterations",
}
"""Old name → new name of a hyper-parameter, for every model."""
SETTINGS = {
    "finetune.lessons": "time_cuts",
    "finetune.lesson_users": "time_cut_users",
    "finetune.trees.rounds": "num_trees",
    "finetune.trees.leaves": "num_leaves",
    "finetune.trees.leaf_rows": "min_data_in_leaf",
    "finetune.trees.l2": "lambda_l2",
    "finetune.trees.feature_share": "feature_fraction",
    "finetune.trees.row_share": "bagging_fraction",
    "finetune.trees.truncation": "lambdarank_truncation_level",
    "finetune.ratings.sweeps": "iterations",
    "finetune.ratings.regularisation": "regularization",
    "evaluate.replicates": "bootstrap_replicates",
    "evaluate.stale_days": "max_staleness_days",
    "evaluate.steady": "min_perturbation_overlap",
    "evaluate.alike": "min_duplicate_agreement",
    "evaluate.drift.emptier": "null_rate",
    "evaluate.drift.fewer": "row_loss",
    "evaluate.drift.more": "row_growth",
    "evaluate.drift.arrivals": "new_events",
    "evaluate.drift.least": "min_values",
}
"""Old path in params.yaml → new name of the field."""
MODEL_SECTIONS = ("finetune.members", "finetune.with_many")


def new_path(path: str) -> str:
    """The current path of a setting.

    Args:
        path: Its old or current path, dot-separated.

    Example:
        >>> new_path("finetune.trees.leaves"), new_path("finetune.members.ease.keep"), new_path("evaluate.margin")
        ('finetune.trees.num_leaves', 'finetune.members.ease.top_weights', 'evaluate.margin')
    """
    *parents, name = path.split(".")
    section = ".".join(parents)
    if section.rpartition(".")[0] in MODEL_SECTIONS:
        name = MODEL_FIELDS.get(name, name)
    return ".".join([*parents, SETTINGS.get(path, name)])


def with_new_names(values: Mapping[str, Any], where: str, path: str = "") -> dict[str, Any]:
    """Replace old names in the values of params.yaml, with a warning on stderr for each.

    Args:
        values: Nested values by old or current name.
        where: Name of the source, for the warnings.
        path: Path of `values` within it; empty at the top.
    """
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        old = f"{path}.{name}" if path else str(name)
        new = new_path(old)
        if new != old:
            print(f"warning: {where}: {old} is now called {new}; rename it.", file=sys.stderr)
        key = new.rpartition(".")[2]
        renamed[key] = with_new_names(value, where, new) if isinstance(value, Mapping) else value
    return renamed
