"""What is known, and how surely, of how well each item is taken: a Bayesian linear model over content.

The outcome y of a trial (see `item_trials`) of an item i with content x and fit f to the user has

    y = (1, x, f) · w + b + noise        w ~ N(0, prior)   b ~ N(0, τ²), of the item   noise ~ N(0, σ²)

so what was learned of other items' content is a new item's expectation, and its own trials replace it as they come.
The posterior is exact (linear mixed model with known variances; Laird & Ware, 1982); τ² and the prior of w are those
with the highest marginal likelihood (empirical Bayes), but τ² is at least 0.01 σ²: items always differ somewhat, and
hundreds of trials of one count for more than its content. A linear model of a rate may leave [0, 1]: only the order of
draws is used (Thompson sampling; Thompson, 1933; with a linear model, Agrawal & Goyal, ICML 2013).

Memory: 4 x (d + 6) bytes for each item that is kept, at most MOST.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.exploration.content_space import ContentSpace, Vectors
from nightreel.models.exploration.item_trials import ItemTrials

OWN = (0.01, 0.03, 0.1, 0.3, 1.0)  # variances of items' own effects that are tried, in units of the noise
OF_CONTENT = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # likewise, of the weights
INTERCEPT_VARIANCE = 1.0  # the outcomes' mean is between 0 and a few: wide enough to not matter
KNOWN = 0.3  # standard error of an item's own rate, as a share of the mean rate, below which it needs no exploration
MOST = 10_000  # items that are kept, those with the highest upper bounds

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TakePosterior:
    """The posterior of how well u uncertain items are taken. For a fit f and a draw w of the weights, an item has

        known + (1 - shrink) x (1, content) · w[:-1] + (f - usual) x w[-1] + deviation x e        e ~ N(0, 1)

    Attributes:
        space: The directions of the items' content.
        rows: [u] int64 the items.
        content: [u, d] float32 their content, of unit length.
        known: [u] float32 part of the expectation that comes from the item's own trials.
        shrink: [u] float32 share of the item's own trials in its expectation, 0 (no trials) to 1.
        usual: [u] float32 fit of the item's own trials, times shrink.
        deviation: [u] float32 what is uncertain apart from the weights.
        effect: [d + 2] float32 expected weights: of the intercept, the content and the fit.
        factor: [d + 2, d + 2] float32, lower triangle; factor · factor' is the weights' covariance.
    """

    space: ContentSpace
    rows: IntArray
    content: Array
    known: Array
    shrink: Array
    usual: Array
    deviation: Array
    effect: Array
    factor: Array

    def draws(self, at: IntArray, fits: Array, n: int, generator: np.random.Generator) -> Array:
        """Draw from the posterior.

        Args:
            at: [c] positions in `rows`.
            fits: [c] how well each item fits the user, -1 to 1.
            n: Number of draws.
            generator: Random generator.

        Returns:
            [c, n] how well each item is taken, in each draw.
        """
        weights = self.effect[:, None] + self.factor @ generator.standard_normal((len(self.effect), n), np.float32)
        rest = generator.standard_normal((len(at), n), np.float32)
        rest *= self.deviation[at, None]
        rest += self._loadings(at, fits) @ weights
        rest += self.known[at, None]
        return rest

    def expected(self, at: IntArray, fits: Array) -> tuple[Array, Array]:
        """[c] mean and [c] standard deviation of the draws of some items."""
        loadings = self._loadings(at, fits)
        spread = np.sqrt(((loadings @ self.factor) ** 2).sum(axis=1) + self.deviation[at] ** 2)
        return self.known[at] + loadings @ self.effect, spread

    def _loadings(self, at: IntArray, fits: Array) -> Array:
        """[c, d + 2] what the weights are multiplied by."""
        new = 1.0 - self.shrink[at]
        return np.column_stack([new, new[:, None] * self.content[at], fits - self.usual[at]]).astype(np.float32)

    def take(self, at: IntArray) -> TakePosterior:
        """The same posterior of some of the items, by their positions in `rows`."""
        names = ("rows", "content", "known", "shrink", "usual", "deviation")
        return replace(self, **{name: getattr(self, name)[at] for name in names})


def fit_posterior(trials: ItemTrials, reduced: Vectors, space: ContentSpace) -> TakePosterior:
    """Fit the model, and keep the items of which little is known.

    Args:
        trials: The log's trials.
        reduced: [n, d] content of the items, `space.reduced` of their vectors.
        space: The directions of `reduced`.

    Returns:
        The posterior of the items whose rate is not KNOWN from their own trials; of more than MOST, those with the
            highest upper bounds (mean and two standard deviations) for a user whom they fit as usual.
    """
    sums = _Sums.of(trials, reduced)
    best = max((sums.evidence(tau, kappa) for tau in OWN for kappa in OF_CONTENT), key=lambda found: found[0])
    tau, covariance, effect = best[1]
    ratio = tau / (1.0 + trials.trials * tau)
    shrink = trials.trials * ratio
    factor, width = np.linalg.cholesky(covariance), reduced.shape[1] + 2
    # Without known fits there is no weight for them: it is 0, and certainly.
    whole = (slice(0, len(effect)),) * 2
    full, mean = np.zeros((width, width)), np.zeros(width)
    full[whole], mean[: len(effect)] = factor, effect
    every = TakePosterior(
        space=space,
        rows=np.arange(len(reduced)),
        content=reduced,
        known=_single(ratio * trials.successes),
        shrink=_single(shrink),
        usual=_single(ratio * trials.fits),
        deviation=_single(np.sqrt(trials.noise * tau * (1.0 - shrink))),
        effect=_single(mean),
        factor=_single(full),
    )
    rate = trials.successes.sum() / trials.trials.sum()
    open_ones = np.flatnonzero(trials.trials * (KNOWN * rate) ** 2 < trials.noise)
    mean_of, spread = every.expected(open_ones, every.usual[open_ones])
    order = np.argsort(-(mean_of + 2.0 * spread), kind="stable")[:MOST]
    return every.take(open_ones[order])


def _single(values: FloatArray) -> Array:
    return np.asarray(values, np.float32)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums from which the marginal likelihood follows. own: [n, p] sums of each item's regressors over its trials;
    gram: [p, p]; moment: [p]."""

    trials: ItemTrials
    own: FloatArray
    gram: FloatArray
    moment: FloatArray

    @classmethod
    def of(cls, trials: ItemTrials, reduced: Vectors) -> _Sums:
        item = np.column_stack([np.ones(len(reduced)), reduced]).astype(np.float64)
        own = trials.trials[:, None] * item
        gram, moment = item.T @ own, item.T @ trials.successes
        if trials.fit_squares > 0:
            cross = item.T @ trials.fits
            gram = np.block([[gram, cross[:, None]], [cross[None, :], np.array([[trials.fit_squares]])]])
            own, moment = np.column_stack([own, trials.fits]), np.append(moment, trials.fit_successes)
        return cls(trials, own, gram, moment)

    def evidence(self, tau: float, kappa: float) -> tuple[float, tuple[float, FloatArray, FloatArray]]:
        """Logarithm of the marginal likelihood but for a constant; and tau, the weights' covariance and mean.

        Args:
            tau: Variance of an item's own effect, in units of the noise.
            kappa: Prior variance of the weights but the intercept's, in the same units.
        """
        noise, known = self.trials.noise, self.trials.successes
        ratio = tau / (1.0 + self.trials.trials * tau)
        precision = (self.gram - self.own.T @ (ratio[:, None] * self.own)) / noise
        moment = (self.moment - self.own.T @ (ratio * known)) / noise
        prior = np.full(len(moment), 1.0 / (kappa * noise))
        prior[0] = 1.0 / INTERCEPT_VARIANCE
        covariance = np.linalg.inv(precision + np.diag(prior))
        covariance = (covariance + covariance.T) / 2.0
        effect = covariance @ moment
        likelihood = (
            -np.log1p(self.trials.trials * tau).sum()
            + np.log(prior).sum()
            + np.linalg.slogdet(covariance)[1]
            - (self.trials.squares - float(ratio @ known**2)) / noise
            + float(moment @ effect)
        )
        return float(likelihood) / 2.0, (tau, covariance, effect)
