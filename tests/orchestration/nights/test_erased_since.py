"""Whose data of an earlier night may not be used again: who was erased since, in whichever channel."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.errors import UserError
from nightreel.orchestration.nights.erased_since import SNAPSHOT, erased_since
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import ByHand, Withdrawals, key_of
from tests.support.bundles import lineage, write_bundle


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A night's snapshot with the events of ann, ben and cy, on two days; cy had asked to be erased by then."""
    folder = tmp_path / "night" / SNAPSHOT
    (folder / "events").mkdir(parents=True)
    pq.write_table(pa.table({"user_id": ["ann", "ben", "ann"]}), folder / "events" / "2026-01-01.parquet")
    pq.write_table(pa.table({"user_id": ["cy", None]}), folder / "events" / "2026-01-02.parquet")
    pq.write_table(pa.table({"user_id": ["cy"]}), folder / "erasures.parquet")
    (folder / "forgotten.json").write_text(json.dumps({"users": []}))
    (folder / "source.json").write_text(json.dumps({"key_fingerprint": None}))
    return tmp_path / "night"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store with one version in two channels."""
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    for name in ("live", "canary"):
        publish(store, tmp_path / "bundle", channel=name, champion=None, lineage=lineage("r"))
    return store


def erase(store: LocalStore, channel: str, held: Withdrawals) -> None:
    seen = channels.live(store, channel)
    assert seen is not None
    store.put(key_of(held.sha256), held.content)
    channels.withdraw(store, channel, held.sha256, seen=seen)


def test_who_was_erased_later_counts_in_whichever_channel_and_way(night: Path, store: LocalStore) -> None:
    assert erased_since(store, night) == 0
    erase(store, "live", Withdrawals(erased=("cy", "dan")))  # cy was erased that night; dan is not in its data
    assert erased_since(store, night) == 0
    erase(store, "canary", Withdrawals(erased=("ann",)))
    assert erased_since(store, night) == 1
    erase(store, "live", Withdrawals(erased=("cy",), by_hand=ByHand(users={"ben": {}})))
    assert erased_since(store, night) == 2


def test_under_another_key_nobody_can_be_looked_for(night: Path, store: LocalStore) -> None:
    (night / SNAPSHOT / "source.json").write_text(json.dumps({"key_fingerprint": "ab" * 8}))
    assert erased_since(store, night) == 0
    erase(store, "live", Withdrawals(erased=("ann",)))
    with pytest.raises(UserError, match="channel live names 1 erased users under another pseudonym key"):
        erased_since(store, night)
