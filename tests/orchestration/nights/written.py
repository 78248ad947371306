"""Nights as they are written: an entry of the history, a snapshot with users, and who was erased since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.monitoring.night import Night
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import Withdrawals, key_of
from tests.support.bundles import lineage, write_bundle


def night(number: int, **facts: object) -> Night:
    """A night of the history that promoted a version."""
    plain = {
        "id": f"n{number}",
        "began": 1000.0 * number,
        "ended": 1000.0 * number + 5,
        "trigger": "schedule",
        "outcome": "promoted",
        "reason": "NDCG@10 +3%.",
        "version": "ab" * 32,
    }
    return Night.model_validate(plain | facts)


def write_snapshot(
    folder: Path, days: Sequence[Sequence[str | None]], erased: Sequence[str], profiled: Sequence[str] = ()
) -> None:
    """A night's snapshot with these users' events on each day, these erased by then, and these in the table `users`."""
    (folder / "events").mkdir(parents=True)
    for number, users in enumerate(days, 1):
        pq.write_table(pa.table({"user_id": users}), folder / "events" / f"2026-01-{number:02d}.parquet")
    pq.write_table(pa.table({"user_id": pa.array(erased, pa.string())}), folder / "erasures.parquet")
    pq.write_table(pa.table({"user_id": pa.array(profiled, pa.string())}), folder / "users.parquet")
    (folder / "forgotten.json").write_text(json.dumps({"users": []}))
    (folder / "source.json").write_text(json.dumps({"key_fingerprint": None}))


def published(folder: Path) -> LocalStore:
    """A store with one version in two channels, live and canary."""
    store = LocalStore(folder / "store")
    write_bundle(folder / "bundle")
    for name in ("live", "canary"):
        publish(store, folder / "bundle", channel=name, champion=None, lineage=lineage("r"))
    return store


def erase(store: LocalStore, channel: str, held: Withdrawals) -> None:
    """Put withdrawals in force in a channel."""
    seen = channels.live(store, channel)
    assert seen is not None
    store.put(key_of(held.sha256), held.content)
    channels.withdraw(store, channel, held.sha256, seen=seen)
