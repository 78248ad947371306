"""The trees' answers are LightGBM's own, bit for bit in what they rank by."""

import lightgbm
import numpy as np
import pytest

from nightreel.models.ranker.lightgbm_numpy import CELLS, Trees


def learned(matrix: np.ndarray, labels: np.ndarray, rounds: int, **more: object) -> lightgbm.Booster:
    data = lightgbm.Dataset(matrix, labels, group=[50] * (len(labels) // 50), free_raw_data=False)
    settings = {"objective": "lambdarank", "num_leaves": 15, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    return lightgbm.train(settings | more, data, num_boost_round=rounds)


def planted(rows: int = 2000, missing: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(rows, 9)).astype(np.float32)
    matrix[:, 3] = rng.integers(0, 4, rows)
    labels = (matrix[:, 0] + matrix[:, 1] * matrix[:, 3] + rng.normal(size=rows) > 1.5).astype(int)
    matrix[rng.random(rows) < missing, 1] = np.nan
    return matrix, labels


@pytest.mark.parametrize("leaves", [2, 15, 64])
def test_scores_are_lightgbms(leaves: int) -> None:
    matrix, labels = planted()
    booster = learned(matrix, labels, 30, num_leaves=leaves)
    asked = planted()[0][::-1].copy()
    asked[::7, 0] = np.nan  # never missing in training
    asked[::5, 3] = np.nan
    np.testing.assert_allclose(Trees.read(booster.model_to_string()).predict(asked), booster.predict(asked), atol=1e-7)


def test_a_value_on_the_threshold_goes_left() -> None:
    matrix, labels = planted(missing=0)
    booster = learned(matrix, labels, 20)
    trees = Trees.read(booster.model_to_string())
    asked = np.zeros((len(trees.features), 9), np.float32)
    asked[np.arange(len(asked)), trees.features] = trees.thresholds
    np.testing.assert_allclose(trees.predict(asked), booster.predict(asked), atol=1e-7)


def test_a_row_alone_scores_as_among_many() -> None:
    matrix, labels = planted()
    trees = Trees.read(learned(matrix, labels, 30).model_to_string())
    many = np.repeat(matrix, 12, axis=0)
    assert len(many) * len(trees.values) > CELLS, "several blocks"
    assert np.array_equal(trees.predict(many)[::12], [float(trees.predict(row[None])[0]) for row in matrix])


def test_a_tree_without_a_split_adds_its_value() -> None:
    matrix, labels = planted()
    booster = learned(matrix, labels, 3, min_data_in_leaf=5000)
    np.testing.assert_allclose(Trees.read(booster.model_to_string()).predict(matrix), booster.predict(matrix))


def test_what_cannot_be_answered_is_refused() -> None:
    matrix, labels = planted()
    with pytest.raises(ValueError, match="100 leaves"):
        Trees.read(learned(matrix, labels, 1, num_leaves=100, min_data_in_leaf=1).model_to_string())
    data = lightgbm.Dataset(matrix, labels, group=[50] * 40, categorical_feature=[3])
    settings = {"objective": "lambdarank", "min_data_in_leaf": 5, "min_data_per_group": 5, "verbose": -1}
    booster = lightgbm.train(settings, data, num_boost_round=10)
    with pytest.raises(ValueError, match="categorical"):
        Trees.read(booster.model_to_string())
