"""Sentiments of the comments on each item, without their authors and texts; and the words of users' searches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import COMMENTS_SCHEMA, SEARCHES_SCHEMA
from nightreel.data.ingest.casting import mask_of
from nightreel.data.ingest.timestamps import MICROS

MOST = 200
"""Comments per item that are kept, the latest: more would hardly change its mean sentiment."""
KEPT = 20
"""Searches of a user that are kept, the latest."""


def comments(events: pa.Table) -> pa.Table:
    """COMMENTS_SCHEMA of clean events (sorted by user and time): only each user's last comment on an item, so that
    nobody counts twice; by item, the latest last."""
    if "tone" not in events.column_names:
        return COMMENTS_SCHEMA.empty_table()
    usable = pc.and_(pc.equal(events["event"].cast(pa.string()), "comment"), events["text_number"].is_valid())
    own = events.filter(pa.array(mask_of(usable) & (events["item"].to_numpy() >= 0)))
    user, item, time = (own[name].to_numpy() for name in ("user", "item", "time"))
    # In reversed order, the first row of each pair is its last one.
    pairs = user.astype(np.int64) << 32 | item
    last = np.zeros(len(pairs), bool)
    last[len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]] = True
    own, item, time = own.filter(pa.array(last)), item[last], time[last]
    # Finally by sentiment: equal times stay in one order, whatever the users' numbers are.
    order = np.lexsort((own["tone"].to_numpy(), time, item))
    after = np.searchsorted(item[order], item[order], "right") - np.arange(len(order))
    return own.take(pa.array(order[after <= MOST])).select(COMMENTS_SCHEMA.names).cast(COMMENTS_SCHEMA)


def searches(words: pa.Table, events: pa.Table, users: Sequence[str], clock: str) -> pa.Table:
    """SEARCHES_SCHEMA: the latest searches of each user, oldest first.

    Args:
        words: SNAPSHOT_SEARCHES.
        events: Clean events: a search that is not among them is left out.
        users: Ids of the users, in order.
        clock: `time` or `order`.
    """
    own = events.filter(pc.equal(events["event"].cast(pa.string()), "search"))
    user = pc.fill_null(pc.index_in(words["user_id"], pa.array(users, pa.string())), -1).to_numpy()
    time = words["timestamp"].to_numpy().astype(np.float64) / (MICROS if clock == "time" else 1)
    clean = set(zip(own["user"].to_pylist(), own["time"].to_pylist(), strict=True))
    there = np.array([pair in clean for pair in zip(user.tolist(), time.tolist(), strict=True)], bool)
    order = np.lexsort((time, user))
    order = order[there[order]] if len(order) else order
    after = np.searchsorted(user[order], user[order], "right") - np.arange(len(order))
    order = order[after <= KEPT]
    columns = [pa.array(user[order]), pa.array(time[order]), words["text"].take(pa.array(order))]
    return pa.table(columns, SEARCHES_SCHEMA.names).cast(SEARCHES_SCHEMA)
