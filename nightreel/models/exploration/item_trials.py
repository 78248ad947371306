"""How often items were offered and taken, as the log tells it: the evidence for exploration.

A log tells it in one of three ways, the first that it has enough of:

    shown     impressions: a pair of user and item is a trial if the item was shown, and a success if it was taken
              afterwards
    judged    dislikes, skips and low ratings: a pair is a trial if the user met the item, and a success unless they
              turned it down
    counted   neither: the users who took an item, against the number who would have if all items that were there at
              the time were taken alike. Square roots of the ratios are used, whose variance does not depend on their
              size (Bartlett, 1936): a log of hits would otherwise tell of nothing but the hits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.gains import RELEVANT
from nightreel.data.contract.verdicts import NOTHING
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.data.item_rights import Rights
from nightreel.models.exploration.content_space import Vectors, fits_before

SHOWN_SHARE = 0.5  # pairs that were shown, of those that were taken, from which on impressions are the evidence
JUDGED_SHARE = 0.1  # pairs that were turned down, of all that were met, from which on judgements are
COUNT_VARIANCE = 0.25  # of the square root of a Poisson number


@dataclass(frozen=True, eq=False)
class ItemTrials:
    """Sums over the trials of n items.

    Attributes:
        how: "shown", "judged" or "counted", see the module.
        trials: [n] trials; with "counted" the expected number of users, which need not be whole.
        successes: [n] sum of the outcomes.
        squares: Sum of the squared outcomes of all items.
        noise: Variance of one trial's outcome.
        fits: [n] sum of the trials' fits, see `content_space.fits_before`; zero with "counted".
        fit_squares: Sum of the squared fits of all items.
        fit_successes: Sum of fit times outcome of all items.
    """

    how: str
    trials: FloatArray
    successes: FloatArray
    squares: float
    noise: float
    fits: FloatArray
    fit_squares: float = 0.0
    fit_successes: float = 0.0


def logged_trials(data: Dataset, reduced: Vectors) -> ItemTrials | None:
    """Read the trials of a log.

    Args:
        data: The validated data, of which every event counts.
        reduced: [n_items, d] of `ContentSpace.reduced`.

    Returns:
        The trials; None if nobody has taken anything.
    """
    user, item, time, positive, negative = (
        data.events[name].to_numpy() for name in ("user", "item", "time", "positive", "negative")
    )
    pair, named = user.astype(np.int64) * data.n_items + item, item >= 0
    relevant = positive & named & (data.events["gain"].to_numpy() >= RELEVANT)
    taken = _Pairs.of(pair, time, relevant)
    if not len(taken.pairs):
        return None
    impression = pc.equal(data.events["event"].cast(pa.string()), "impression").to_numpy()
    shown = _Pairs.of(pair, time, impression & named)
    if len(shown.pairs) >= SHOWN_SHARE * len(taken.pairs):
        latest = _Pairs.of(pair, time, relevant, latest=True).times_of(shown.pairs)
        return _compared("shown", data, reduced, shown, latest >= shown.times)
    down = np.zeros(len(pair), bool)
    down[np.flatnonzero(negative & named)] = np.asarray(data.negatives(None).verdicts) != NOTHING
    met, refused = _Pairs.of(pair, time, (positive & named) | down), _Pairs.of(pair, time, down)
    if len(refused.pairs) >= JUDGED_SHARE * len(met.pairs):
        return _compared("judged", data, reduced, met, np.isnan(refused.times_of(met.pairs)))
    return _counted(data, taken)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of user and item as numbers (user x items + item), ascending, each with the time of its first or latest
    event."""

    pairs: IntArray
    times: FloatArray

    @classmethod
    def of(cls, pair: IntArray, time: FloatArray, mask: npt.NDArray[np.bool_], latest: bool = False) -> _Pairs:
        own, moments = pair[mask], time[mask]
        order = np.lexsort((-moments if latest else moments, own))
        pairs, at = np.unique(own[order], return_index=True)
        return cls(pairs, moments[order][at])

    def times_of(self, pairs: IntArray) -> FloatArray:
        """[m] time of each of m pairs; NaN for one that is not among these."""
        if not len(self.pairs):
            return np.full(len(pairs), np.nan)
        at = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        return np.where(self.pairs[at] == pairs, self.times[at], np.nan)


def _compared(how: str, data: Dataset, reduced: Vectors, met: _Pairs, taken: npt.NDArray[np.bool_]) -> ItemTrials:
    """Sums over pairs of which each is a trial. taken: [pairs] the outcomes."""
    user, item = np.divmod(met.pairs, data.n_items)
    order = np.lexsort((met.times, user))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=data.n_users))]).astype(np.int64)
    asked = Histories(indptr, item[order].astype(np.int32), met.times[order])
    fits, outcome = fits_before(data.positives(None), reduced, asked), taken[order].astype(np.float64)
    # As if one more trial had succeeded and one failed: outcomes that are all alike have some variance, too.
    rate = (outcome.sum() + 1.0) / (len(outcome) + 2.0)
    return ItemTrials(
        how,
        trials=np.bincount(asked.items, minlength=data.n_items).astype(np.float64),
        successes=np.bincount(asked.items, outcome, data.n_items).astype(np.float64),
        squares=float(outcome.sum()),
        noise=float(rate * (1.0 - rate)),
        fits=np.bincount(asked.items, fits, data.n_items).astype(np.float64),
        fit_squares=float(fits @ fits),
        fit_successes=float(fits @ outcome),
    )


def _counted(data: Dataset, taken: _Pairs) -> ItemTrials:
    """Counts of users against what they would be if all items that were there had been taken alike.

    An item is there from its date of publication on, or from its first event if that is earlier or it has no date. The
    event that begins its count is not counted: every item without a date has one.
    """
    item, n = taken.pairs % data.n_items, data.n_items
    if data.clock == "time":
        first = np.full(n, np.inf)
        np.minimum.at(first, item, taken.times)
        published = Rights.of(data.items).published
        start = np.maximum(np.minimum(first, np.where(np.isfinite(published), published, np.inf)), taken.times.min())
    else:  # positions of different users can't be compared
        start = np.full(n, -np.inf)
    moments = np.sort(taken.times)
    share = 1.0 / np.searchsorted(np.sort(start), moments, side="right")
    until = np.concatenate([[0.0], np.cumsum(share)])
    expected = until[-1] - until[np.searchsorted(moments, start, side="right")]
    counts = np.bincount(item[taken.times > start[item]], minlength=n).astype(np.float64)
    return ItemTrials(
        "counted",
        trials=expected,
        successes=np.sqrt(counts * expected),
        squares=float(counts[expected > 0].sum()),
        noise=COUNT_VARIANCE,
        fits=np.zeros(n),
    )
