"""Retention: nothing goes that a channel, a rollback or a reader's grace needs, and nothing is torn meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nightreel.bundle.format import digest_of, verify
from nightreel.store import channels, retention
from nightreel.store.backends.base import StoreError, StoreUnreachable
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.store.retention import Keep
from tests.support.bundles import lineage, write_bundle

NOTHING = Keep(versions=0, days=0, grace_hours=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bundles")
    for n in range(4):
        write_bundle(root / str(n), seed=n, users=6, items=16, watched=4)
    return [root / str(n) for n in range(4)]


@pytest.fixture
def store(tmp_path: Path, folders: list[Path]) -> LocalStore:
    """Four versions, published to `live` one after the other; the first is the canary's too."""
    store, champion = LocalStore(tmp_path), None
    publish(store, folders[0], channel="canary", champion=None, lineage=lineage("r0"))
    for n, folder in enumerate(folders):
        champion = publish(store, folder, channel="live", champion=champion, lineage=lineage(f"r{n}")).digest
    return store


def test_channels_and_predecessors_stay(store: LocalStore, folders: list[Path]) -> None:
    digests = [digest_of(folder) for folder in folders]
    planned = retention.plan(store, NOTHING)
    assert list(planned.keys) == [digests[1]]
    assert planned.kept == {
        digests[0]: "channel canary",
        digests[2]: "before channel live's",
        digests[3]: "channel live",
    }
    assert planned.size == sum(store.list(f"versions/{digests[1]}/").values())
    assert retention.collect(store, planned, NOTHING) == [digests[1]]
    assert set(channels.versions(store)) == {digests[0], digests[2], digests[3]}
    assert not store.exists(channels.COLLECTING)
    for digest in channels.versions(store):
        verify(store.root / "versions" / digest, digest)  # linked files of what went are still there
    assert channels.rollback(store, "live") == (digests[3], digests[2])


@pytest.mark.parametrize(
    "keep", [Keep(4, 0, 0), Keep(0, 1, 0), Keep(0, 0, 1)], ids=["by number", "by age", "for readers"]
)
def test_what_is_asked_for_stays(store: LocalStore, keep: Keep) -> None:
    assert not retention.plan(store, keep).keys
    assert len(retention.plan(store, keep, now=time.time() + 2 * 86_400).keys) == (keep.versions == 0)


def test_an_unfinished_upload_has_its_grace(store: LocalStore) -> None:
    store.put(f"versions/{'f' * 64}/vectors.npy", b"x")
    assert retention.plan(store, Keep(0, 9, 1)).kept["f" * 64] == "upload may be in progress"
    late = retention.plan(store, Keep(9, 9, 1), now=time.time() + 7200)
    assert list(late.keys) == ["f" * 64]


def test_a_rollback_between_plan_and_collection_wins(store: LocalStore, folders: list[Path]) -> None:
    second = digest_of(folders[1])
    planned = retention.plan(store, NOTHING)
    assert list(planned.keys) == [second]
    channels.rollback(store, "live", second)
    assert retention.collect(store, planned, NOTHING) == []
    verify(store.root / "versions" / second, second)


def test_nothing_is_pointed_at_what_is_being_removed(store: LocalStore, folders: list[Path]) -> None:
    """A collection that was killed after its note: publishing and rollback wait for the next one, which ends it."""
    second, live = digest_of(folders[1]), digest_of(folders[3])
    store.put(channels.COLLECTING, f'{{"versions": ["{second}"]}}'.encode())
    store.delete(f"versions/{second}/vectors.npy")
    with pytest.raises(StoreError, match="is being removed"):
        channels.rollback(store, "live", second)
    with pytest.raises(StoreUnreachable, match=r"is being removed by `nightreel gc`. Run again"):
        publish(store, folders[1], channel="live", champion=live, lineage=lineage("r9"))
    assert retention.collect(store, retention.CollectionPlan({}, {}), NOTHING) == [second]
    assert publish(store, folders[1], channel="live", champion=live, lineage=lineage("r9")).moved
    verify(store.root / "versions" / second, second)


def test_a_collection_does_not_make_a_publisher_stale(store: LocalStore, folders: list[Path]) -> None:
    """Its new token for the channel is no change of what the channel points to; a pointer read before it is void."""
    seen = channels.live(store)
    channels.touch(store, "live")
    now = channels.live(store)
    assert seen and now and now.digest == seen.digest and now.token != seen.token
    live = digest_of(folders[3])

    class Touched(LocalStore):
        touched = False

        def list(self, prefix: str) -> dict[str, int]:
            if not self.touched:
                self.touched = True
                channels.touch(LocalStore(self.root), "live")
            return super().list(prefix)

    assert publish(Touched(store.root), folders[0], channel="live", champion=live, lineage=lineage("r5")).moved
