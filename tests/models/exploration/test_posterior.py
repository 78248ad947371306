"""The posterior is that of the model as it is written down, with every trial as a row of its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nightreel.models.exploration import posterior
from nightreel.models.exploration.content_space import ContentSpace
from nightreel.models.exploration.item_trials import ItemTrials
from nightreel.models.exploration.posterior import _Sums, fit_posterior

ITEMS, TRIALS, SIZE = 9, 60, 3
SPACE = ContentSpace(np.zeros(SIZE, np.float32), np.eye(SIZE, dtype=np.float32))


class Rows:
    """Trials one by one; the last two items have none."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.content = rng.normal(size=(ITEMS, SIZE)).astype(np.float32)
        self.content /= np.linalg.norm(self.content, axis=1, keepdims=True)
        self.item = rng.integers(0, ITEMS - 2, TRIALS)
        self.fit = rng.uniform(-1, 1, TRIALS)
        self.outcome = (rng.random(TRIALS) < 0.3 + 0.2 * self.fit).astype(float)
        self.noise = 0.2

    def sums(self) -> ItemTrials:
        def by_item(values: np.ndarray) -> np.ndarray:
            return np.bincount(self.item, values, ITEMS)

        return ItemTrials(
            "shown", by_item(np.ones(TRIALS)), by_item(self.outcome), float((self.outcome**2).sum()), self.noise,
            by_item(self.fit), float((self.fit**2).sum()), float(self.fit @ self.outcome),
        )  # fmt: skip

    def dense(self, tau: float, kappa: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Regressors of weights and item effects of each trial, their prior covariance, the outcome's covariance."""
        rows = np.column_stack([np.ones(TRIALS), self.content[self.item], self.fit, np.eye(ITEMS)[self.item]])
        prior = np.diag([1.0, *[kappa * self.noise] * (SIZE + 1), *[tau * self.noise] * ITEMS])
        return rows, prior, rows @ prior @ rows.T + self.noise * np.eye(TRIALS)


def test_it_is_the_posterior_of_a_dense_model(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, tau = Rows(0), 0.3
    monkeypatch.setattr(posterior, "OWN", (tau,))
    monkeypatch.setattr(posterior, "OF_CONTENT", (tau,))
    monkeypatch.setattr(posterior, "KNOWN", 0.0)
    found = fit_posterior(rows.sums(), rows.content, SPACE)
    design, prior, covariance = rows.dense(tau, tau)
    gain = prior @ design.T @ np.linalg.inv(covariance)
    mean, left = gain @ rows.outcome, prior - gain @ design @ prior
    fits = np.linspace(-0.5, 1, ITEMS).astype(np.float32)
    told, spread = found.expected(np.arange(ITEMS), fits[found.rows])
    for at, item in enumerate(found.rows.tolist()):
        one = np.concatenate([[1.0], rows.content[item], [fits[item]], np.eye(ITEMS)[item]])
        assert told[at] == pytest.approx(one @ mean, abs=1e-5)
        assert spread[at] == pytest.approx(np.sqrt(one @ left @ one), abs=1e-5)
    many = found.draws(np.arange(ITEMS), fits[found.rows], 40_000, np.random.default_rng(0))
    assert many.mean(axis=1) == pytest.approx(told, abs=0.02)
    both = np.array([[1.0, *rows.content[i], fits[i], *np.eye(ITEMS)[i]] for i in found.rows])
    assert np.cov(many) == pytest.approx(both @ left @ both.T, abs=0.01), "draws of items are together, not one by one"


def test_evidence_differs_as_the_density_of_the_outcomes_does() -> None:
    rows = Rows(1)
    sums = _Sums.of(rows.sums(), rows.content)
    pairs = [(0.01, 0.3), (0.3, 0.01), (1.0, 1.0)]
    exact = [multivariate_normal(np.zeros(TRIALS), rows.dense(*pair)[2]).logpdf(rows.outcome) for pair in pairs]
    found = [sums.evidence(*pair)[0] for pair in pairs]
    assert np.diff(found) == pytest.approx(np.diff(exact), abs=1e-6)


def test_a_new_item_is_expected_to_be_as_its_like_and_what_was_not_taken_falls() -> None:
    content = np.eye(2, 3, dtype=np.float32)[np.arange(40) % 2]
    trials = np.where(np.arange(40) < 30, 100.0, 0.0)
    trials[38:] = 40.0
    successes = trials * np.where(np.arange(40) % 2, 0.3, 0.1) * np.where(np.arange(40) % 3, 1.2, 0.6)
    successes[38:] = 0.0
    known = ItemTrials("shown", trials, successes, float(successes.sum()), 0.16, np.zeros(40))
    found = fit_posterior(known, content, SPACE)
    assert set(found.rows.tolist()) == set(range(30, 40)), "the others are known"
    at = {item: place for place, item in enumerate(found.rows.tolist())}
    mean, spread = found.expected(np.arange(10), np.zeros(10, np.float32))
    assert mean[at[31]] > 2 * mean[at[30]] and mean[at[39]] < mean[at[31]] and mean[at[38]] < mean[at[30]]
    assert spread[at[39]] < spread[at[31]]
    wins = found.draws(np.array([at[31], at[39]]), np.zeros(2, np.float32), 1000, np.random.default_rng(0))
    assert (wins[0] > wins[1]).mean() > 0.8, "shown often and not taken: it loses its places"


def test_of_too_many_items_those_that_may_be_best_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(2)
    whole = fit_posterior(rows.sums(), rows.content, SPACE)
    monkeypatch.setattr(posterior, "MOST", 4)
    assert fit_posterior(rows.sums(), rows.content, SPACE).rows.tolist() == whole.rows[:4].tolist()
