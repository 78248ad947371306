"""Publishing: only what is missing goes up, the channel moves last, and a kill anywhere leaves a whole version."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import pytest

from nightreel.bundle.format import BundleError, digest_of, seal, verify
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.base import Conflict, Token
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import Published, StaleChallenger, publish
from tests.support.bundles import lineage, write_bundle

FORK = get_context("fork")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two bundles, of Monday and of Tuesday."""
    root = tmp_path_factory.mktemp("bundles")
    for seed, day in enumerate(("monday", "tuesday")):
        write_bundle(root / day, seed=seed)
    return root / "monday", root / "tuesday"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def go(store: LocalStore, folder: Path, champion: str | None, recipe: str = "r1", dry_run: bool = False) -> Published:
    return publish(store, folder, channel="live", champion=champion, lineage=lineage(recipe), dry_run=dry_run)


def test_the_first_version_goes_live_whole(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    digest, files = digest_of(bundles[0]), verify(bundles[0]).files
    done = go(store, bundles[0], None)
    assert done == Published(digest, True, len(files), sum(f["size"] for f in files.values()), 0)
    pointer = channels.live(store)
    assert pointer is not None and (pointer.digest, pointer.previous, pointer.generation) == (digest, None, 1)
    assert channels.lineage(store, digest) == {**lineage("r1"), "predecessor": None}
    verify(store.root / "versions" / digest, digest)
    assert channels.versions(store) == [digest]


def test_again_is_a_no_op(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    digest = go(store, bundles[0], None).digest
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    for champion in (None, digest, "f" * 64):
        assert not go(store, bundles[0], champion, recipe="r2").moved
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_successor_remembers_its_predecessor(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    first = go(store, bundles[0], None).digest
    second = go(store, bundles[1], first, recipe="r2").digest
    pointer = channels.live(store)
    assert pointer is not None and (pointer.digest, pointer.previous, pointer.generation) == (second, first, 2)
    assert channels.lineage(store, second)["predecessor"] == first
    assert sorted(channels.versions(store)) == sorted([first, second])


def test_a_challenger_compared_with_what_is_no_longer_live_is_refused(
    store: LocalStore, bundles: tuple[Path, Path]
) -> None:
    first = go(store, bundles[0], None).digest
    before = store.list("")
    for champion in (None, "f" * 64):
        with pytest.raises(
            StaleChallenger, match=f"stale challenger: channel live of .* points to {first[:12]}.*Run ag"
        ):
            go(store, bundles[1], champion)
    assert store.list("") == before


def test_a_dry_run_tells_and_writes_nothing(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    done = go(store, bundles[0], None, dry_run=True)
    assert done.uploaded == len(verify(bundles[0]).files) and not done.moved
    assert not store.root.exists()


def test_only_what_the_store_lacks_goes_up(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    digest, names = digest_of(bundles[0]), list(verify(bundles[0]).files)
    for name in names[:-2]:
        store.put(f"versions/{digest}/{name}", bundles[0] / name)
    done = go(store, bundles[0], None)
    assert (done.uploaded, done.kept) == (2, len(names) - 2)


def test_content_of_another_version_is_copied_inside_the_store(
    store: LocalStore, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    """A file of the same bytes goes up once, under whatever version and name; a damaged one is no source of copies."""
    first = go(store, bundles[0], None).digest
    folder = Path(shutil.copytree(bundles[0], tmp_path / "update"))
    config = json.loads((folder / "config.json").read_text())
    seal(folder, config | {"name": "renamed"})
    files = verify(folder).files
    preview = go(store, folder, first, dry_run=True)
    store.put(f"versions/{first}/vectors.npy", bytes(files["vectors.npy"]["size"]))
    done = go(store, folder, first)
    assert preview.sent == files["config.json"]["size"]
    assert (done.uploaded, done.sent) == (2, files["config.json"]["size"] + files["vectors.npy"]["size"])
    verify(store.root / "versions" / done.digest, done.digest)


def test_a_torn_bundle_is_not_published(store: LocalStore, bundles: tuple[Path, Path], tmp_path: Path) -> None:
    torn = Path(shutil.copytree(bundles[0], tmp_path / "torn"))
    (torn / "vectors.npy").write_bytes(b"")
    with pytest.raises(BundleError, match=r"vectors\.npy"):
        go(store, torn, None)
    assert not store.root.exists()


def test_of_racing_publishers_exactly_one_moves_the_channel(
    store: LocalStore, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    first = go(store, bundles[0], None).digest
    folders = [tmp_path / f"b{n}" for n in range(4)]
    for n, folder in enumerate(folders):
        write_bundle(folder, seed=10 + n, users=6, items=16, watched=4)

    def attempt(folder: Path) -> bool:
        try:
            return go(LocalStore(store.root), folder, first).moved
        except StaleChallenger:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, folders)) == 1
    pointer = channels.live(store)
    assert pointer is not None and pointer.digest in map(digest_of, folders) and pointer.previous == first


class BeatenByATwin(LocalStore):
    """Somebody else publishes the same version between our upload and our swap."""

    def compare_and_swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        LocalStore(self.root).compare_and_swap(key, expected, content)
        raise Conflict("lost")


def test_losing_to_the_same_version_is_no_loss(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    assert not go(BeatenByATwin(store.root), bundles[0], None).moved
    pointer = channels.live(store)
    assert pointer is not None and pointer.digest == digest_of(bundles[0])


# Faults: at its nth call of the store, a process kills itself.


class Doomed(LocalStore):
    """Kills its process before, within or after its nth call. calls: how often it was called."""

    def __init__(self, root: Path, nth: int, moment: str, calls: Synchronized[int]) -> None:
        super().__init__(root)
        self.nth, self.moment, self.calls = nth, moment, calls

    def called(self, name: str, *arguments: Any) -> Any:
        with self.calls.get_lock():
            self.calls.value += 1
            last = self.calls.value == self.nth
        if last and self.moment == "before":
            die()
        if last and self.moment == "within":
            Path.rename = die  # type: ignore[assignment]  # everything is written, nothing has its name yet
        try:
            return getattr(LocalStore, name)(self, *arguments)
        finally:
            if last:
                die()


for name in ("get", "get_with_token", "put", "copy", "list", "compare_and_swap"):
    setattr(Doomed, name, partialmethod(Doomed.called, name))


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_doomed(root: Path, folder: Path, champion: str, nth: int, moment: str) -> tuple[int | None, int]:
    """Publish in a forked process, which has nothing to import; its exit code and its calls of the store."""
    calls = FORK.Value("i", 0)
    store = Doomed(root, nth, moment, calls)
    process = FORK.Process(target=go, args=(store, folder, champion, "r2"))
    process.start()
    process.join()
    return process.exitcode, calls.value


def test_killed_at_any_store_call_a_publisher_leaves_a_whole_version(
    bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = map(digest_of, bundles)
    counted = LocalStore(tmp_path / "counted")
    go(counted, bundles[0], None)
    code, calls = run_doomed(counted.root, bundles[1], first, -1, "never")
    assert code == 0 and calls > len(verify(bundles[1]).files)
    rng = random.Random(20261122)
    # The last calls are the delicate ones (lineage, manifest, swap): always among the ten.
    places = [calls, calls - 1, calls - 2, *rng.sample(range(1, calls - 2), 7)]
    seen = set()
    for n, nth in enumerate(places):
        store = LocalStore(tmp_path / f"store{n}")
        go(store, bundles[0], None)
        code, _ = run_doomed(store.root, bundles[1], first, nth, rng.choice(["before", "within", "after"]))
        assert code == -signal.SIGKILL
        live = Reader.open(str(store.root)).digest  # verifies every file of what is live
        assert live in (first, second)
        seen.add(live)
        for whole in channels.versions(store):
            verify(store.root / "versions" / whole, whole)
        go(store, bundles[1], first if live == first else None, recipe="r2")
        assert Reader.open(str(store.root)).digest == second
    assert first in seen


def test_the_lineage_is_json_that_people_can_read(store: LocalStore, bundles: tuple[Path, Path]) -> None:
    digest = go(store, bundles[0], None).digest
    assert json.loads((store.root / "versions" / digest / "lineage.json").read_text())["recipe"] == "r1"
