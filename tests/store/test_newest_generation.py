"""An older pointer put in the place of a newer one is not followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.reader.live_reader import LiveReader
from nightreel.store import channels
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.contracts.servers import set_environment
from tests.support.bundles import lineage, write_bundle

KEY = "channels/live.json"


def two_versions(store: LocalStore, folder: Path) -> tuple[bytes, bytes]:
    """Publish two versions; returns the two pointers as they are stored."""
    stored, champion = [], None
    for number in range(2):
        write_bundle(folder / str(number), seed=number, users=6, items=16, watched=4)
        done = publish(store, folder / str(number), channel="live", champion=champion, lineage=lineage(f"r{number}"))
        champion = done.digest
        stored.append(store.get(KEY))
    return stored[0], stored[1]


def test_a_live_reader_stays_and_says_so(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    older, newer = two_versions(store, tmp_path)
    with LiveReader(str(tmp_path / "store"), start=False) as live:
        digest = live.status.digest
        store.put(KEY, older)
        assert not live.refresh() and live.status.digest == digest
        assert "is older (generation 1) than one read before (2)" in str(live.status.fault)
        store.put(KEY, newer)
        assert not live.refresh() and live.status.fault is None
        channels.rollback(store, "live")
        assert live.refresh() and live.status.digest != digest  # going back is a new pointer, not an old one


def test_a_store_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    older, _ = two_versions(store, tmp_path)
    assert channels.live(store) is not None
    store.delete(KEY)
    assert channels.live(store) is None
    store.put(KEY, older)
    pointer = channels.live(store)
    assert pointer is not None and pointer.generation == 1


def test_of_a_remote_store_the_next_process_knows_it_too(
    tmp_path: Path, moto: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, moto)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    store = open_store("s3://generations/store")
    older, _ = two_versions(store, tmp_path)  # type: ignore[arg-type]
    store.put(KEY, older)
    with pytest.raises(StoreError, match=r"is older \(generation 1\).*delete .*generations/[0-9a-f]+\.json") as told:
        channels.live(open_store("s3://generations/store"))
    Path(str(told.value).rpartition("delete ")[2].rstrip(".")).unlink()
    with pytest.raises(StoreError, match="is older"):  # this process still knows
        channels.live(store)
    assert channels.live(open_store("s3://generations/store")) is not None
