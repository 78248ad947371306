"""Whose data of an earlier night may not be used again: who was erased since, in whichever channel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.nights.erased_since import SNAPSHOT, erased_since, in_folder
from nightreel.store.backends.local import LocalStore
from nightreel.store.withdrawals_file import ByHand, Withdrawals
from tests.orchestration.nights.written import erase, published, write_snapshot


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A night's snapshot with the events of ann, ben and cy, on two days; cy had asked to be erased by then."""
    write_snapshot(tmp_path / "night" / SNAPSHOT, [["ann", "ben", "ann"], ["cy", None]], erased=["cy"])
    return tmp_path / "night"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return published(tmp_path)


def test_who_was_erased_later_counts_in_whichever_channel_and_way(night: Path, store: LocalStore) -> None:
    assert erased_since(store, in_folder(night / SNAPSHOT)) == 0
    erase(store, "live", Withdrawals(erased=("cy", "dan")))  # cy was erased that night; dan is not in its data
    assert erased_since(store, in_folder(night / SNAPSHOT)) == 0
    erase(store, "canary", Withdrawals(erased=("ann",)))
    assert erased_since(store, in_folder(night / SNAPSHOT)) == 1
    erase(store, "live", Withdrawals(erased=("cy",), by_hand=ByHand(users={"ben": {}})))
    assert erased_since(store, in_folder(night / SNAPSHOT)) == 2


def test_who_stands_in_the_table_of_users_alone_counts_too(tmp_path: Path, store: LocalStore) -> None:
    write_snapshot(tmp_path / SNAPSHOT, [["ann"]], erased=[], profiled=["new"])
    erase(store, "live", Withdrawals(erased=("new",)))
    assert erased_since(store, in_folder(tmp_path / SNAPSHOT)) == 1


def test_under_another_key_nobody_can_be_looked_for(night: Path, store: LocalStore) -> None:
    (night / SNAPSHOT / "source.json").write_text(json.dumps({"key_fingerprint": "ab" * 8}))
    assert erased_since(store, in_folder(night / SNAPSHOT)) == 0
    erase(store, "live", Withdrawals(erased=("ann",)))
    with pytest.raises(UserError, match="channel live names 1 erased users under another pseudonym key"):
        erased_since(store, in_folder(night / SNAPSHOT))
