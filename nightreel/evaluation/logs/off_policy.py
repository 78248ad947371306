"""Off-policy estimates of a policy's response rate from the log of another policy.

A logged slate shows items, each with the probability (propensity) p with which the logging policy showed it. The target
policy would show the first k items T of its own list. For a slate with shown items a and responses r(a),

    IPS    Σ w r              w = [a ∈ T] / p                  unbiased if every item of T could have been shown
    SNIPS  Σ w r / Σ w                                         lower variance, slightly biased
    DR     Σ_T q + Σ w (r - q)    q: estimated rate of the item  unbiased, lower variance if q is informative

each per position of a list, summed over slates (Horvitz & Thompson 1952; Swaminathan & Joachims 2015; Dudík et al.
2011). Assumes that responses depend on the item and the user, and not on the position or on the other items. The mean
of Σ w / k is the share of T that the log supports: 1 under full support.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, IntArray, ItemArray
from nightreel.evaluation.metrics.bootstrap import Interval, interval

PRIOR = 10.0  # pseudo-impressions that shrink an item's rate to the mean
Resample = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Impressions:
    """n logged impressions. user: row in the target policy's lists; slate: index of the slate; item: index; propensity:
    in (0, 1]; response: 0 or 1."""

    user: IntArray
    slate: IntArray
    item: IntArray
    propensity: FloatArray
    response: FloatArray

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Estimate:
    """Responses per position of a list, with 95% intervals over users. logged: of the logging policy; effective:
    effective sample size in impressions; support: Σ w / k, 1 if the log supports all of T."""

    logged: Interval
    ips: Interval
    snips: Interval
    dr: Interval
    support: Interval
    effective: float
    impressions: int
    slates: int
    users: int


def estimate(log: Impressions, lists: ItemArray, n_items: int, resample: Resample) -> Estimate | str:
    """Compute the estimates.

    Args:
        log: The logged impressions.
        lists: [users, k] the target policy's lists, padded with -1.
        n_items: Size of the catalogue.
        resample: Columns [u, m], one row per user → sums by replicate [replicates, m].

    Returns:
        The estimates, or the reason why there are none.
    """
    weight = _inside(log, lists, n_items) / log.propensity
    if not weight.any():
        return "no impression is of an item that the challenger recommends: the log has no support for its lists"
    slate, first = np.unique(log.slate, return_index=True)
    owner, k = log.user[first], lists.shape[1]
    rates = cross_fitted(log, n_items)
    fold = log.user % 2
    expected = np.take_along_axis(rates[np.arange(len(lists)) % 2], np.maximum(lists, 0).astype(np.int64), axis=1)
    of_list = np.where(lists >= 0, expected, 0.0).sum(axis=1)
    rest = weight * (log.response - rates[fold, log.item])
    n = len(lists)
    slates = np.bincount(owner, minlength=n)
    columns = np.column_stack(
        [
            slates * float(k),
            np.bincount(log.user, weight, n),
            np.bincount(log.user, weight * log.response, n),
            slates * of_list + np.bincount(log.user, rest, n),
            np.bincount(log.user, minlength=n),
            np.bincount(log.user, log.response, n),
        ]
    )
    drawn = resample(columns)

    def ratio(top: int, bottom: int) -> Interval:
        usable = drawn[:, bottom] > 0
        point = float(columns[:, top].sum() / columns[:, bottom].sum())
        return interval(point, drawn[usable, top] / drawn[usable, bottom])

    return Estimate(
        logged=ratio(5, 4),
        ips=ratio(2, 0),
        snips=ratio(2, 1),
        dr=ratio(3, 0),
        support=ratio(1, 0),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
        impressions=len(log),
        slates=len(slate),
        users=n,
    )


def why_unreliable(found: Estimate, least_support: float, least_effective: float) -> str | None:
    """Return why an estimate is unreliable; None if it is reliable."""
    if found.support.high < least_support:
        return (
            f"the log supports {found.support.point:.0%} of the challenger's recommendations (upper bound "
            f"{found.support.high:.0%}, threshold {least_support:.0%}): the rest was never, or hardly ever, shown"
        )
    if found.effective < least_effective:
        return (
            f"the effective sample size is {found.effective:,.0f} of {found.impressions:,} impressions, less than "
            f"{least_effective:,.0f}: a few large weights would dominate"
        )
    return None


def cross_fitted(log: Impressions, n_items: int) -> FloatArray:
    """[2, n_items] response rate of each item, shrunk to the mean: for each half of the users, from the other half."""
    rates = np.empty((2, n_items))
    for half in (0, 1):
        rows = log.user % 2 != half
        mean = float(log.response[rows].mean()) if rows.any() else 0.0
        shown = np.bincount(log.item[rows], minlength=n_items)
        rates[half] = (np.bincount(log.item[rows], log.response[rows], n_items) + PRIOR * mean) / (shown + PRIOR)
    return rates


def _inside(log: Impressions, lists: ItemArray, n_items: int) -> npt.NDArray[np.bool_]:
    """[n] whether the item is in its user's list."""
    row, place = np.nonzero(lists >= 0)
    return np.isin(log.user * n_items + log.item, row * n_items + lists[row, place])
