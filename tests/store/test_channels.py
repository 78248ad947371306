"""Channels: versions by their first characters, rollback with a block, release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightreel.store import channels, records
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bundles")
    for n in range(3):
        write_bundle(root / str(n), seed=n, users=6, items=16, watched=4)
    return [root / str(n) for n in range(3)]


@pytest.fixture
def store(tmp_path: Path, folders: list[Path]) -> LocalStore:
    """Three versions, published one after the other by recipes r0, r1 and r2."""
    store = LocalStore(tmp_path)
    champion = None
    for n, folder in enumerate(folders):
        done = publish(store, folder, channel="live", champion=champion, lineage=lineage(f"r{n}"))
        champion = done.digest
    return store


def live(store: LocalStore) -> tuple[str, str | None]:
    pointer = channels.live(store)
    assert pointer is not None
    return pointer.digest, pointer.previous


def order(store: LocalStore) -> list[str]:
    """Digests, oldest first."""
    return sorted(channels.versions(store), key=lambda d: channels.lineage(store, d)["recipe"])


def test_rollback_goes_to_the_predecessor_and_blocks_the_recipe_left(store: LocalStore) -> None:
    first, second, third = order(store)
    assert channels.rollback(store, "live") == (third, second)
    assert live(store) == (second, first)
    assert channels.blocked(store) == ["r2"]
    assert channels.rollback(store, "live") == (second, first)
    assert live(store) == (first, None)
    assert channels.blocked(store) == ["r1", "r2"]
    with pytest.raises(StoreError, match=r"has no predecessor. Name a version"):
        channels.rollback(store, "live")
    with pytest.raises(StoreError, match=r"is blocked. Unblock it first: `nightreel release"):
        channels.rollback(store, "live", third)
    assert channels.release(store, third[:10]) == "r2"
    assert channels.blocked(store) == ["r1"]
    assert channels.rollback(store, "live", third[:10]) == (first, third)
    assert live(store) == (third, second)


def test_a_rollback_blocks_the_candidate_too_whatever_recipe_makes_it(store: LocalStore) -> None:
    third = order(store)[-1]
    facts = channels.lineage(store, third) | {"candidate": "c" * 64}
    store.put(f"versions/{third}/lineage.json", json.dumps(facts).encode())
    channels.rollback(store, "live")
    assert channels.blocked_runs(store) == ["r2", "c" * 64]
    channels.release(store, third)
    assert channels.blocked_runs(store) == []


def test_rollback_to_what_is_live_or_unknown_changes_nothing(store: LocalStore) -> None:
    before = live(store)
    with pytest.raises(StoreError, match="is live already"):
        channels.rollback(store, "live", before[0])
    with pytest.raises(StoreError, match=r"'zzz': no such version. `nightreel versions` lists them"):
        channels.rollback(store, "live", "zzz")
    with pytest.raises(StoreError, match="nothing is published in channel canary"):
        channels.rollback(store, "canary")
    assert live(store) == before and channels.blocked(store) == []


def test_a_version_is_found_by_its_first_characters(store: LocalStore) -> None:
    digest = order(store)[1]
    assert channels.find(store, digest[:12]) == channels.find(store, digest) == digest
    assert channels.resolve(store, "live", None) == order(store)[2]
    assert channels.resolve(store, "live", digest[:12]) == digest
    with pytest.raises(StoreError, match="3 versions begin with it; give more characters"):
        channels.find(store, "")


def test_a_version_without_its_manifest_is_none(store: LocalStore) -> None:
    digest = order(store)[0]
    (store.root / "versions" / digest / "manifest.json").unlink()
    assert len(channels.versions(store)) == 2
    with pytest.raises(StoreError, match="no such version"):
        channels.find(store, digest)


def test_channels_are_apart(store: LocalStore) -> None:
    first = order(store)[0]
    channels.move(store, "canary", first, previous=None, seen=None)
    assert {name: pointer.digest for name, pointer in channels.channels(store).items()} == {
        "canary": first, "live": live(store)[0],
    }  # fmt: skip


def test_a_damaged_pointer_is_named(store: LocalStore) -> None:
    for content in ("{", "[]", '{"digest": "d"}'):
        (store.root / "channels" / "live.json").write_text(content)
        with pytest.raises(StoreError, match=r"channels/live\.json is damaged. Restore it"):
            channels.live(store)


def test_a_channel_serves_its_share_of_users_and_keeps_them_when_it_grows(
    store: LocalStore, folders: list[Path]
) -> None:
    users = [f"u{n}" for n in range(4000)]
    assert {channels.assigned(user, channels.channels(store)) for user in users[:50]} == {"live"}
    with pytest.raises(StoreError, match=r"canary: its share can't be set. Choose another channel: none yet"):
        channels.set_share(store, "canary", 0.1)
    for name in ("canary", "trial"):
        publish(store, folders[0], channel=name, champion=None, lineage=lineage("r0"))
    served = []
    for share in (0.1, 0.3):
        channels.set_share(store, "canary", share)
        now = channels.channels(store)
        served.append({user for user in users if channels.assigned(user, now) == "canary"})
        assert abs(len(served[-1]) / len(users) - share) < 0.03
    assert served[0] < served[1]
    with pytest.raises(
        StoreError, match=r"channel trial: with a share of 0.8 all shares add up to 1.1. The maximum is 1"
    ):
        channels.set_share(store, "trial", 0.8)
    publish(store, folders[1], channel="canary", champion=order(store)[0], lineage=lineage("r1"))
    moved = channels.live(store, "canary")
    assert moved is not None and moved.share == 0.3 and list(moved.left) == [order(store)[0]]


@pytest.mark.parametrize("name", ["", "a/b", "../x", "Live", "a b"])
def test_a_channel_has_a_plain_name(store: LocalStore, name: str) -> None:
    with pytest.raises(StoreError, match="not a valid channel name"):
        channels.live(store, name)


def test_a_pointer_with_a_bit_turned_over_is_refused(store: LocalStore) -> None:
    channels.rollback(store, "live")  # now it tells what it left, and when
    sound = store.get("channels/live.json")
    for bit in range(0, 8 * len(sound), 7):  # each of the eight in turn
        turned = bytearray(sound)
        turned[bit // 8] ^= 1 << bit % 8
        store.put("channels/live.json", bytes(turned))
        with pytest.raises(StoreError, match=r"channels/live.json is damaged. Restore it"):
            channels.live(store)


def test_a_pointer_without_a_checksum_or_with_fields_of_a_later_version_is_taken(store: LocalStore) -> None:
    pointer = json.loads(store.get("channels/live.json"))
    del pointer["sha256"]
    for content in (json.dumps(pointer).encode(), records.sealed(pointer | {"later": 1})):
        store.put("channels/live.json", content)
        assert live(store) == (pointer["version"], pointer["previous"])
