from __future__ import annotations

import numpy as np

from nightreel.data.histories import Histories
from nightreel.models.factorization.nmf import Nmf, NmfConfig
from tests.support.planted import catalogue, histories

HYPER = {"factors": 6.0, "regularization": 0.1, "iterations": 50.0, "seed": 1.0, "decay": 5.0}


def test_parts_are_non_negative_and_a_history_is_rebuilt_by_its_taste_s() -> None:
    member = Nmf.fit(histories(), catalogue(), NmfConfig.model_validate(HYPER), clock=True)
    scores = member.score(Histories.from_rows([([0, 2, 4], [1.0, 2.0, 3.0])]), np.zeros(1))[0]
    assert member.parts.min() >= 0 and scores.min() >= 0
    assert scores[0::2].sum() > 20 * scores[1::2].sum()


def test_folding_in_reaches_the_least_squares_answer() -> None:
    """On parts that don't overlap, the answer is known: each part's own projection."""
    parts = np.zeros((6, 2), np.float32)
    parts[:3, 0], parts[3:, 1] = [1.0, 2.0, 2.0], [2.0, 0.0, 1.0]
    member = Nmf(parts, decay=1e12)
    scores = member.score(Histories.from_rows([([1, 3], [1.0, 2.0])]), np.zeros(1))[0]
    np.testing.assert_allclose(scores, [2 / 9, 4 / 9, 4 / 9, 4 / 5, 0.0, 2 / 5], rtol=1e-5)


def test_more_factors_than_data_are_fewer() -> None:
    member = Nmf.fit(
        Histories.from_rows([([1, 2], [1.0, 2.0])]), catalogue(), NmfConfig.model_validate(HYPER), clock=True
    )
    scores = member.score(Histories.from_rows([([1], [1.0]), ([], [])]), np.zeros(2))
    assert member.parts.shape == (60, 1) and np.isfinite(scores).all() and scores[0, 2] > 0 and not scores[1].any()
