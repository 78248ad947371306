"""Backfill: the nights of a replay are published into a channel of the store that is served, not into one of their own.

Who is erased by now is left out of every night, however early, since a version of theirs could be served today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import EVENTS_TABLE, USERS
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.privacy import key_fingerprint
from nightreel.errors import UserError
from nightreel.orchestration.nights.erased_since import erased_users
from nightreel.replay.source_log import ALWAYS, SourceLog, rows_of
from nightreel.store import channels
from nightreel.store.open import open_store, store_uri

ERASURES = "erasures"
LIVE = "live"


@dataclass(frozen=True)
class Target:
    """Where the nights are published. store: address of the store; channel: its name."""

    store: str
    channel: str

    def as_json(self) -> dict[str, str]:
        """Plain values, for the replay's description."""
        return {"store": self.store, "channel": self.channel}


def target(channel: str, *, into_live: bool) -> Target:
    """The channel of the store that is served.

    Args:
        channel: Its name.
        into_live: Whether it may be the live one.

    Raises:
        UserError: The name is not valid, or it is the live channel and that was not confirmed.
    """
    if channel == LIVE and not into_live:
        raise UserError(
            "--publish live: past nights would replace what users are served, one after the other, until the last of "
            "them is live. Name a channel of its own, for example --publish backfill, and look at it first (nightreel "
            "recommend --channel backfill). To do it all the same, add --into-live."
        )
    store = open_store(store_uri())
    channels.live(store, channel)  # refuses a name that is not valid, and a store that can't be read
    return Target(store.uri, channel)


def require_unused(found: Target, *, into_live: bool) -> None:
    """Raise UserError if the channel has a version: this replay has not begun, so it is somebody else's."""
    pointer = channels.live(open_store(found.store), found.channel)
    if pointer is not None and not into_live:
        raise UserError(
            f"--publish {found.channel}: channel {found.channel} of {found.store} has version {pointer.digest[:12]} "
            "already, and not from this replay. Name a channel that is not in use (see nightreel versions). To go on "
            "with an earlier replay, repeat its command, with the same --state."
        )


def without_erased(log: SourceLog, found: Target, key: bytes | None) -> SourceLog:
    """The log in which everybody who is erased by now has asked for it before the first night.

    Args:
        log: The log.
        found: Where to publish: its store says who was erased or withdrawn.
        key: Pseudonym key of the log's typed tables.

    Raises:
        UserError: A channel names erased users under another key.
    """
    erased = erased_users(open_store(found.store), key_fingerprint(key) if key else None)
    there = [
        np.full(len(times), ALWAYS) if raw.table == ERASURES else times
        for raw, times in zip(log.raws, log.there_from, strict=True)
    ]
    ids = pa.array(sorted(_plain_ids(log, erased)), pa.string())
    if not len(ids):
        return replace(log, there_from=there)
    asked = Raw(ERASURES, "erased in the store", {"user_id": ids}, np.arange(1, len(ids) + 1))
    return replace(log, raws=[*log.raws, asked], there_from=[*there, np.full(len(ids), ALWAYS)])


def _plain_ids(log: SourceLog, users: frozenset[str]) -> set[str]:
    """The ids by which the source's files name these users of its typed tables."""
    found, wanted = set[str](), pa.array(sorted(users), pa.string())
    for raw in log.raws:
        if raw.table not in (EVENTS_TABLE.name, USERS.name) or not users:
            continue
        typed = rows_of(log.loaded.events if raw.table == EVENTS_TABLE.name else log.loaded.users, raw)
        rows = typed.filter(pc.is_in(typed["user_id"], wanted))["source_row"].to_numpy()
        cells = raw.columns["user_id"].take(pa.array(np.searchsorted(raw.rows, rows)))
        found.update(pc.cast(cells, pa.string()).drop_null().unique().to_pylist())
    return found
