"""Opening a version: what is fetched, checked, refused and kept on the disk."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightreel import Reader, UserError
from nightreel.bundle.format import BundleError
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, reseal, write_bundle


@pytest.fixture
def published(tmp_path: Path) -> tuple[LocalStore, Path, str]:
    store, folder = LocalStore(tmp_path / "store"), tmp_path / "bundle"
    write_bundle(folder)
    done = publish(store, folder, channel="live", champion=None, lineage=lineage("r1"))
    return store, folder, done.digest


def test_a_published_version_answers_like_the_bundle(published: tuple[LocalStore, Path, str]) -> None:
    store, folder, digest = published
    expected = Reader.open_bundle(folder).recommend("u000", k=10)
    for opened in (Reader.open(store.uri), Reader.open(store.uri, version=digest[:8])):
        assert opened.digest == digest and opened.recommend("u000", k=10) == expected
        assert not opened.vectors.flags.owndata and not opened.vectors.flags.writeable


def test_every_damaged_file_is_refused_by_name(published: tuple[LocalStore, Path, str]) -> None:
    store, _, digest = published
    folder = store.root / "versions" / digest
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "lineage.json"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(BundleError, match=path.name):
            Reader.open(store.uri)
        path.write_bytes(whole)
    assert Reader.open(store.uri).digest == digest


def test_a_bundle_that_was_sealed_without_a_part_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / "seen")
    reseal(tmp_path / "bundle")
    with pytest.raises(UserError, match=r"the bundle lacks a file .*seen"):
        Reader.open_bundle(tmp_path / "bundle")


def test_nothing_published_yet_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"nothing is published yet in {tmp_path}: run `nightreel run`"):
        Reader.open(str(tmp_path))
    with pytest.raises(StoreError, match="channel canary: run"):
        Reader.open(str(tmp_path), channel="canary")
    with pytest.raises(StoreError, match="version ffffffffffff not found"):
        Reader.open(str(tmp_path), version="f" * 64)
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    with pytest.raises(UserError, match=f"nothing is published yet in {tmp_path / 'state' / 'store'}"):
        Reader.open()


class Remote(LocalStore):
    """A store whose files are elsewhere; counts downloads."""

    downloads = 0
    lock = threading.Lock()

    def folder(self, prefix: str) -> Path | None:
        return None

    def get_file(self, key: str, path: Path) -> None:
        with self.lock:
            Remote.downloads += 1
        super().get_file(key, path)


@pytest.fixture
def remote(published: tuple[LocalStore, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published version behind a store without a folder; returns where copies are kept."""
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("nightreel.reader.reader.open_store", lambda uri: Remote(published[0].root))
    Remote.downloads = 0
    return tmp_path / "state" / "cache" / "bundles" / published[2]


def test_a_download_is_kept_and_checked_at_each_opening(published: tuple[LocalStore, Path, str], remote: Path) -> None:
    files = len(json.loads((published[1] / "manifest.json").read_text())["files"])
    first = Reader.open()
    assert first.digest == remote.name and Remote.downloads == files
    assert Reader.open().recommend("u000", k=5) == first.recommend("u000", k=5)
    assert Remote.downloads == files
    (remote / "vectors.npy").write_bytes(b"damaged on this machine")
    assert Reader.open().digest == remote.name and Remote.downloads == 2 * files
    assert [path.name for path in remote.parent.iterdir()] == [remote.name]


def test_a_version_damaged_in_the_store_is_refused_and_leaves_nothing(
    published: tuple[LocalStore, Path, str], remote: Path
) -> None:
    path = published[0].root / "versions" / remote.name / "engine" / "ease" / "codes.npy"
    path = path if path.exists() else next((published[0].root / "versions" / remote.name / "engine").rglob("*.npy"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=f"{published[0].uri}: versions/{remote.name}/engine/.*{path.name}"):
        Reader.open()
    assert not list(remote.parent.iterdir())


def test_several_first_readers_share_one_copy(remote: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(lambda _: Reader.open().digest, range(4)))
    assert digests == {remote.name} and [path.name for path in remote.parent.iterdir()] == [remote.name]
