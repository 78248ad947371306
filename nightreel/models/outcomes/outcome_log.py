"""What came of the items that users met: by event, which outcomes it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.gains import RELEVANT
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.outcome_values import OUTCOMES, WANTED

Mask = npt.NDArray[np.bool_]
WATCHED = ("watch", "play")
CLICK, WATCH = "click", "watch"
LEAST = 50
"""Events of an outcome that a log must have; with fewer nothing can be learned of it."""


@dataclass(frozen=True, eq=False)
class OutcomeLog:
    """The events of a log that name an item.

    Attributes:
        users: int64 [e].
        items: int64 [e].
        times: [e] epoch seconds.
        marks: By outcome, bool [e] which events are one. WANTED is always there.
    """

    users: IntArray
    items: IntArray
    times: FloatArray
    marks: Mapping[str, Mask]

    @classmethod
    def of(cls, data: Dataset, fold: str | None, parts: tuple[str, ...] = (), least: int = LEAST) -> Self | None:
        """Events in some parts of a fold (all parts if it is None); None if they tell nothing beyond what is wanted.

        A watch is one that was watched to a large part (see `validate.gain`); a click is any positive event on an item
        that the same user was shown, in a log that says what was shown.

        Args:
            data: The validated data.
            fold: Name of a fold, or None.
            parts: Parts of the fold.
            least: Events of an outcome for it to count.
        """
        events = data.events
        rows = np.flatnonzero(data.within(fold, parts) & (events["item"].to_numpy() >= 0))
        user, item, time, positive, gain = (
            events[name].to_numpy()[rows] for name in ("user", "item", "time", "positive", "gain")
        )
        types = events["event"].cast(pa.string()).take(pa.array(rows))
        wanted = positive & (gain >= RELEVANT)
        marks = {WANTED: wanted}
        for name in OUTCOMES[1:]:
            if name == WATCH:
                mark = wanted & _of(types, *WATCHED)
            elif name == CLICK:
                mark = positive & _shown(user.astype(np.int64) * data.n_items + item, _of(types, "impression"))
            else:
                mark = _of(types, name)
            # What every met item has, as the play in a log of plays, tells nothing.
            if mark.sum() >= least and not mark.all():
                marks[name] = mark
        if len(marks) == 1:
            return None
        return cls(user.astype(np.int64), item.astype(np.int64), time.astype(np.float64), marks)


def _of(types: pa.ChunkedArray, *names: str) -> Mask:
    found: Mask = pc.is_in(types, pa.array(names, pa.string())).to_numpy()
    return found


def _shown(pairs: IntArray, impression: Mask) -> Mask:
    """[e] whether an event's pair of user and item was shown."""
    return np.isin(pairs, pairs[impression])
