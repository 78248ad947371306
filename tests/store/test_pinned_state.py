"""The pinned state: of the last version over other tables, copied once, refused when it is not as published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightreel.bundle.format import seal
from nightreel.stage import read_json
from nightreel.store import channels
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.pinned_state import earlier_version, pin_state


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def version(store: LocalStore, folder: Path, *, state: bool = True) -> str:
    """A version of two files and, unless told otherwise, a state."""
    (folder / "engine").mkdir(parents=True)
    (folder / "engine" / "engine.json").write_text(f'{{"of": "{folder.name}"}}')
    if state:
        (folder / "warm" / "leave_last_out").mkdir(parents=True)
        (folder / "warm" / "leave_last_out" / "state.json").write_text('{"nights": 0}')
    digest = seal(folder, {})
    for path in folder.rglob("*"):
        if path.is_file():
            store.put(f"versions/{digest}/{path.relative_to(folder).as_posix()}", path)
    return digest


def came_from(store: LocalStore, digest: str, tables: str, predecessor: str | None) -> None:
    """The digest goes live, from these tables, in place of its predecessor."""
    store.put(f"versions/{digest}/lineage.json", json.dumps({"tables": tables, "predecessor": predecessor}).encode())
    seen = channels.live(store)
    channels.move(store, "live", digest, previous=predecessor, seen=seen)


def test_tonight_begins_at_the_last_version_over_other_tables(store: LocalStore) -> None:
    assert earlier_version(store, "live", "monday") is None
    came_from(store, "a" * 64, "monday", None)
    assert earlier_version(store, "live", "monday") is None, "the first night over these tables had nothing"
    assert earlier_version(store, "live", "tuesday") == "a" * 64
    came_from(store, "b" * 64, "tuesday", "a" * 64)
    came_from(store, "c" * 64, "tuesday", "b" * 64)
    assert earlier_version(store, "live", "tuesday") == "a" * 64, "whatever was published meanwhile"
    assert earlier_version(store, "live", "wednesday") == "c" * 64


def test_versions_that_follow_each_other_in_a_ring_are_walked_once(store: LocalStore) -> None:
    came_from(store, "a" * 64, "monday", "b" * 64)
    came_from(store, "b" * 64, "monday", "a" * 64)
    assert earlier_version(store, "live", "monday") is None


def test_the_state_alone_is_copied_and_only_once(store: LocalStore, tmp_path: Path) -> None:
    digest, out = version(store, tmp_path / "bundle"), tmp_path / "warm"
    pin_state(store, digest, out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "leave_last_out/state.json", "pin.json",
    ]  # fmt: skip
    assert read_json(out / "pin.json")["version"] == digest
    before = (out / "pin.json").stat().st_mtime_ns
    pin_state(store, digest, out)
    assert (out / "pin.json").stat().st_mtime_ns == before
    pin_state(store, None, out)
    assert [path.name for path in out.iterdir()] == ["pin.json"]
    assert read_json(out / "pin.json") == {"version": None, "files": {}}


def test_a_version_without_a_state_and_one_that_is_gone_pin_nothing(store: LocalStore, tmp_path: Path) -> None:
    for digest in (version(store, tmp_path / "bundle", state=False), "f" * 64):
        pin_state(store, digest, tmp_path / "warm")
        assert read_json(tmp_path / "warm" / "pin.json") == {"version": None, "files": {}}


def test_a_state_that_is_not_as_published_is_refused_by_name(store: LocalStore, tmp_path: Path) -> None:
    digest = version(store, tmp_path / "bundle")
    store.put(f"versions/{digest}/warm/leave_last_out/state.json", b'{"nights": 9}')
    with pytest.raises(
        StoreError, match=r"warm/leave_last_out/state\.json: was changed.*warm_nights and finetune.search_nights to 0"
    ):
        pin_state(store, digest, tmp_path / "warm")
    assert not (tmp_path / "warm").exists()
