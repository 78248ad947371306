"""Training the ranker's trees: LambdaMART on held-out positions, with LightGBM.

Source: Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82. Time grows with positions x candidates x
trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.models.training.training_examples import Examples
from nightreel.settings.finetune import TreeSettings


def fit_lambdamart(
    data: Examples,
    rounds: Sequence[int],
    settings: TreeSettings,
    seed: int,
    threads: int,
    start: npt.NDArray[np.float32] | None = None,
) -> dict[int, str]:
    """Train one ensemble, and cut it at each number of trees. The same inputs and threads give the same texts.

    Args:
        data: Examples with r rows.
        rounds: Numbers of trees.
        settings: LightGBM's parameters.
        seed: Of LightGBM's sampling.
        threads: Of LightGBM.
        start: [r] scores that the trees correct, which the texts do not include; None for none.

    Returns:
        LightGBM's text form of the ranker by number of trees.
    """
    import lightgbm

    names = [column.replace(".", "_") for column in data.columns]
    first = None if start is None else start.astype(np.float64)
    dataset = lightgbm.Dataset(data.matrix, data.labels, group=data.sizes, feature_name=names, init_score=first)
    own = {"objective": "lambdarank", "lambdarank_truncation_level": settings.lambdarank_truncation_level}
    booster = lightgbm.train(parameters(settings, seed, threads) | own, dataset, num_boost_round=max(rounds))
    return {count: str(booster.model_to_string(num_iteration=count)) for count in rounds}


def parameters(settings: TreeSettings, seed: int, threads: int) -> dict[str, Any]:
    """LightGBM's parameters, but for the objective; the same threads give the same trees."""
    return {
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "lambda_l2": settings.lambda_l2,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
