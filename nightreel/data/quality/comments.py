"""Comments on each item, without their authors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import COMMENTS_SCHEMA
from nightreel.data.ingest.casting import mask_of

MOST = 200
"""Comments per item that are kept, the latest: more would hardly change its mean sentiment."""


def comments(events: pa.Table) -> pa.Table:
    """COMMENTS_SCHEMA of clean events (sorted by user and time): only each user's last comment on an item, so that
    nobody counts twice; by item, the latest last."""
    if "text" not in events.column_names:
        return COMMENTS_SCHEMA.empty_table()
    usable = pc.and_(
        pc.equal(events["event"].cast(pa.string()), "comment"),
        pc.not_equal(pc.utf8_trim_whitespace(events["text"]), ""),
    )
    own = events.filter(pa.array(mask_of(usable) & (events["item"].to_numpy() >= 0)))
    user, item, time = (own[name].to_numpy() for name in ("user", "item", "time"))
    # In reversed order, the first row of each pair is its last one.
    pairs = user.astype(np.int64) << 32 | item
    last = np.zeros(len(pairs), bool)
    last[len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]] = True
    own, item, time = own.filter(pa.array(last)), item[last], time[last]
    # Finally by text: equal times stay in one order, whatever the users' numbers are.
    place = pc.rank(own["text"], "ascending", tiebreaker="dense").to_numpy() if len(item) else item
    order = np.lexsort((place, time, item))
    after = np.searchsorted(item[order], item[order], "right") - np.arange(len(order))
    return own.take(pa.array(order[after <= MOST])).select(COMMENTS_SCHEMA.names).cast(COMMENTS_SCHEMA)
