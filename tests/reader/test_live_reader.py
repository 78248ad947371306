"""Following a channel: swaps drop nothing, bad versions are refused, a store that is away interrupts nobody."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightreel.bundle.format import digest_of
from nightreel.errors import UserError
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


class Versions:
    """A store, and bundles for it that differ in their users' histories."""

    def __init__(self, root: Path, bundles: Path) -> None:
        self.store, self.folders = LocalStore(root / "store"), sorted(bundles.iterdir())
        self.digests = [digest_of(folder) for folder in self.folders]

    def publish(self, n: int) -> str:
        seen = channels.live(self.store)
        return publish(
            self.store, self.folders[n], channel="live", champion=seen.digest if seen else None,
            lineage=lineage(f"r{n}"),
        ).digest  # fmt: skip


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    for n in range(3):
        write_bundle(root / f"b{n}", users=8, seed=n)
    return root


@pytest.fixture
def versions(tmp_path: Path, bundles: Path) -> Versions:
    made = Versions(tmp_path, bundles)
    made.publish(0)
    return made


def test_a_new_version_takes_over_and_tells_its_age(versions: Versions) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        before = live.reader
        assert not live.refresh() and live.reader is before
        versions.publish(1)
        assert live.reader is before and live.refresh()
        assert live.reader.digest == live.status.digest == versions.digests[1] != before.digest
        assert live.status.swaps == 1 and live.status.fault is None
        assert live.status.age_s(datetime(2026, 11, 22, 1, 1, tzinfo=UTC)) == 60.0
        assert before.recommend("u000", k=3)  # whoever still holds it goes on


def test_a_damaged_version_is_refused_and_the_last_good_one_goes_on(versions: Versions) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        versions.publish(1)
        path = versions.store.root / "versions" / versions.digests[1] / "vectors.npy"
        whole = path.read_bytes()
        path.write_bytes(whole[:-4] + b"oops")
        assert not live.refresh() and live.reader.digest == versions.digests[0]
        assert live.status.refused == versions.digests[1] and "vectors.npy: was changed" in str(live.status.fault)
        assert not live.refresh() and live.status.refused == versions.digests[1]  # not read again and again
        versions.publish(2)
        assert live.refresh() and live.reader.digest == versions.digests[2] and live.status.fault is None


def test_a_version_refused_for_bytes_that_are_sound_later_is_taken(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        path = versions.store.root / "versions" / versions.publish(1) / "vectors.npy"
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        assert not live.refresh() and live.status.refused == versions.digests[1]
        path.write_bytes(whole)
        now = time.monotonic()
        for passed, taken in ((59.0, False), (61.0, True)):
            monkeypatch.setattr("nightreel.reader.live_reader.time.monotonic", lambda passed=passed: now + passed)
            assert live.refresh() is taken
        assert live.status.refused is None and live.reader.digest == versions.digests[1]


@pytest.mark.parametrize(
    "record", ['{"published_at": "tomorrow"}', '{"published_at": "2026-11-22T01:00:00"}', "{", "{}"]
)
def test_a_damaged_record_beside_a_whole_version_stops_nothing(versions: Versions, record: str) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        (versions.store.root / "versions" / versions.publish(1) / "lineage.json").write_text(record)
        assert live.refresh() and live.reader.digest == versions.digests[1]
        assert live.status.published_at is None and live.status.age_s() is None and live.status.fault is None


def test_a_store_that_is_away_interrupts_nobody(versions: Versions, tmp_path: Path) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        expected = live.reader.recommend("u001", k=5)
        versions.store.root.rename(tmp_path / "away")
        assert not live.refresh() and live.status.fault and live.status.refused is None
        assert live.reader.recommend("u001", k=5) == expected
        (tmp_path / "away").rename(versions.store.root)
        versions.publish(1)
        assert live.refresh() and live.status.fault is None


def test_nothing_published_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing is published yet"):
        LiveReader(str(tmp_path))


def test_swaps_under_load_drop_and_mix_nothing(versions: Versions) -> None:
    """Every answer is wholly one version's, while the channel moves between three."""
    for n in (1, 2):
        versions.publish(n)
    store, wrong, asked = versions.store, [], []
    with LiveReader(store.uri, every_s=0.01) as live:
        opened = {digest: Reader.open(store.uri, version=digest) for digest in versions.digests}
        expected = {digest: reader.recommend("u003", k=5) for digest, reader in opened.items()}
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                reader = live.reader
                asked.append(reader.digest)
                if reader.recommend("u003", k=5) != expected[reader.digest]:
                    wrong.append(reader.digest)
                time.sleep(0.001)  # without a pause, two threads leave the refreshing one hardly a turn

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for n in range(9):
            seen = channels.live(store)
            channels.move(store, "live", versions.digests[n % 3], previous=None, seen=seen)
            deadline = time.monotonic() + 10
            while live.reader.digest != versions.digests[n % 3] and time.monotonic() < deadline:
                time.sleep(0.005)
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong and set(asked) == set(versions.digests) and live.status.swaps >= 8


def test_the_async_form_answers_from_the_version_of_its_moment(versions: Versions) -> None:
    with LiveReader(versions.store.uri, start=False) as live:
        listed = asyncio.run(live.ask(lambda reader: reader.recommend("u000", k=3)))
        assert listed == live.reader.recommend("u000", k=3)


def test_a_forked_process_follows_the_channel_too(versions: Versions) -> None:
    """Threads do not live on in a fork: it would serve the version of its birth for ever, and report no fault."""
    with LiveReader(versions.store.uri, every_s=0.05) as live:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            deadline = time.monotonic() + 20
            while live.status.digest == versions.digests[0] and time.monotonic() < deadline:
                time.sleep(0.02)
            os.write(write, live.reader.digest.encode())
            os._exit(0)
        versions.publish(1)
        assert os.read(read, 64).decode() == versions.digests[1] and os.waitpid(child, 0)[1] == 0


def test_a_path_is_a_store_and_a_wrong_address_is_refused(versions: Versions) -> None:
    with LiveReader(Path(versions.store.root), start=False) as live:
        assert live.reader.recommend("u000", k=1) == Reader.open(Path(versions.store.root)).recommend("u000", k=1)
    with pytest.raises(UserError, match="42: is no address of a store"):
        Reader.open(42)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="every_s is 0"):
        LiveReader(versions.store.uri, every_s=0)
