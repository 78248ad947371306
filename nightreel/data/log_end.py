"""The end of a log: not its last row, but the time at which several users' events end.

A device with a wrong clock can write a row months ahead of all others. Taken as the end of the data, it would make all
other events old: recent popularity would consist of that row, and lists would be computed for a time without users. So
the end is the k-th latest of the users' last events; k is 3, or a thousandth of the users where there are many.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEAST = 3
SHARE = 0.001
FEW = 3
"""Users per step of k in a small log: with up to three users, the last event is the end."""


def data_end(users: npt.ArrayLike, times: npt.ArrayLike) -> float:
    """The end of the data, which no single user's clock decides.

    Args:
        users: [n] user of each event; whole numbers from 0.
        times: [n] epoch seconds. For a source without a clock take the greatest position instead: positions are
            relative to one user each.

    Returns:
        The k-th latest of the users' last events, with k = max(3, users / 1000), but at most a third of the users
            (rounded up), so that a log of one to three users ends with its last event. -inf without events. Events
            after it remain in the log: an age counted from here must not fall below 0.
    """
    owner, moment = np.asarray(users, np.int64), np.asarray(times, np.float64)
    if not len(moment):
        return float("-inf")
    last = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(last, owner, moment)
    ends = np.sort(last[last > -np.inf])
    return float(ends[-several(len(ends))])


def several(users: int) -> int:
    """Number of users, of so many, that define the end of the data."""
    return min(max(LEAST, int(np.ceil(SHARE * users))), int(np.ceil(users / FEW)))
