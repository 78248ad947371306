"""Lists for many users at once, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from nightreel.bundle.clock import Moment, each_of
from nightreel.bundle.newcomers import Rows
from nightreel.models.engine import BLEND
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import RequestOptions
from nightreel.reader.question import segments_of
from nightreel.reader.recommend import BLOCK, Asked, many, of_users
from nightreel.reader.results import LISTS
from nightreel.reader.slates.slate import kept_out
from nightreel.reader.visibility import Standing


def _newcomers(bundle: OpenBundle, user_ids: Sequence[str], requests: Asked) -> Iterator[tuple[int, Rows]]:
    """Users without events of whom something is known: their places, and rows of their labels."""
    if bundle.newcomers is None:
        return
    for row in np.flatnonzero(requests.past.lengths == 0).tolist():
        if segments := segments_of(bundle, user_ids[row], {}):
            yield row, segments


def table(
    bundle: OpenBundle,
    user_ids: Sequence[str],
    k: int,
    at: Moment | Sequence[Moment],
    exclude_seen: bool | None,
    options: RequestOptions,
    standing: Standing,
) -> pa.Table:
    """Many users' lists as a table; see Reader.recommend_users."""
    without = bundle.config["exclude_seen"] if exclude_seen is None else exclude_seen
    kept = kept_out(bundle.items, bundle.facets, options) if options.filters else None
    tables, usual = [LISTS.empty_table()], at is None and without == bundle.config["exclude_seen"]
    each = each_of(at, len(user_ids))
    for start in range(0, len(user_ids), BLOCK):
        part = list(user_ids[start : start + BLOCK])
        users = bundle.users.rows(part)
        requests = of_users(bundle, users, each[start : start + BLOCK], without)
        found = many(bundle, requests if usual else replace(requests, users=None), k, BLEND, standing, kept)
        for number, segments in _newcomers(bundle, part, requests):
            own = replace(requests.take(np.array([number])), users=None, segments=segments)
            listed = many(bundle, own, k, BLEND, standing, kept)
            found.items[number], found.scores[number] = listed.items[0], listed.scores[0]
        row, place = np.nonzero(found.items >= 0)
        columns = [
            pa.array(part, pa.string()).take(pa.array(row)),
            bundle.items.column.take(pa.array(found.items[row, place])),
            pa.array(place + 1, pa.int32()),
            pa.array(found.scores[row, place], pa.float32()),
        ]
        tables.append(pa.Table.from_arrays(columns, schema=LISTS))
    return pa.concat_tables(tables)
