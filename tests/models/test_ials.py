from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.factorization.ials import Ials, IalsConfig, solved, unit_ridge
from tests.support.planted import catalogue, histories

HYPER = {"factors": 8.0, "regularization": 0.003, "unobserved": 0.3, "iterations": 6.0, "seed": 1.0, "decay": 5.0}


def loss(x: np.ndarray, users: np.ndarray, items: np.ndarray) -> float:
    """The loss of the docstring, term by term."""
    a, ridge = HYPER["unobserved"], HYPER["regularization"]
    guess = users @ items.T
    of_users = (x.sum(1) + a * x.shape[1]) @ (users**2).sum(1)
    of_items = (x.sum(0) + a * x.shape[0]) @ (items**2).sum(1)
    return float((x * (1 - guess) ** 2).sum() + a * (guess**2).sum() + ridge * (of_users + of_items))


def test_every_half_sweep_lowers_the_loss_and_is_its_minimum() -> None:
    rng = np.random.default_rng(1)
    x = (rng.random((30, 20)) < 0.2).astype(np.float32)
    users, items = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    before = loss(x, users, items)
    for _ in range(3):
        users = solved(sp.csr_matrix(x), items, HYPER["unobserved"], HYPER["regularization"])
        items = solved(sp.csr_matrix(x.T), users, HYPER["unobserved"], HYPER["regularization"])
        after = loss(x, users, items)
        assert after < before
        before = after
    for _ in range(5):
        assert loss(x, users, items + 1e-3 * rng.normal(size=items.shape)) > before


def test_an_unseen_history_of_the_same_items_gets_the_trained_user_s_factors() -> None:
    member = Ials.fit(histories(), catalogue(), IalsConfig.model_validate({**HYPER, "decay": 1e12}), clock=True)
    alone = Histories.from_rows([(histories()[3][0].tolist(), [0.0] * 12)])
    np.testing.assert_allclose(
        member.score(alone, np.zeros(1))[0], member.score(histories(), np.zeros(80))[3], rtol=1e-5, atol=1e-7
    )


def test_another_decay_needs_no_second_fit() -> None:
    member = Ials.fit(histories(), catalogue(), IalsConfig.model_validate(HYPER), clock=True)
    other = Ials.fit(histories(), catalogue(), IalsConfig.model_validate({**HYPER, "decay": 1.0}), clock=True)
    asked = member.with_scoring_params(IalsConfig.model_validate({**HYPER, "decay": 1.0})).score(
        histories(), np.zeros(80)
    )
    np.testing.assert_array_equal(asked, other.score(histories(), np.zeros(80)))
    assert not np.array_equal(asked, member.score(histories(), np.zeros(80)))


def test_an_empty_history_scores_zeros() -> None:
    member = Ials.fit(histories(), catalogue(), IalsConfig.model_validate(HYPER), clock=True)
    assert not member.score(Histories.from_rows([([], [])]), np.zeros(1)).any()


def test_both_forms_of_the_ridge_agree_with_the_plain_solve() -> None:
    rng = np.random.default_rng(2)
    for events in (2, 3, 4, 9):
        z, wanted = rng.normal(size=(5, events, 4)), rng.random((5, events))
        plain = [np.linalg.solve(np.eye(4) + part.T @ part, part.T @ w) for part, w in zip(z, wanted, strict=True)]
        np.testing.assert_allclose(unit_ridge(z, wanted), plain, rtol=1e-9)
