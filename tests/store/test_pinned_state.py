"""The pinned state: of the last version over other tables, copied once, refused when it is not as published."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import seal
from nightreel.settings.params_file import load
from nightreel.stage import read_json
from nightreel.store import channels
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore
from nightreel.store.pinned_state import earlier_version, goes_on_until, pin_state, pin_warm_state


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
    assert read_json(out / "pin.json") == {"version": None, "until": None, "files": {}}


def test_a_version_without_a_state_and_one_that_is_gone_pin_nothing(store: LocalStore, tmp_path: Path) -> None:
    for digest in (version(store, tmp_path / "bundle", state=False), "f" * 64):
        pin_state(store, digest, tmp_path / "warm")
        assert read_json(tmp_path / "warm" / "pin.json") == {"version": None, "until": None, "files": {}}


def test_of_a_version_to_go_on_from_the_published_models_are_pinned_too(store: LocalStore, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    for name, text in {
        "warm/global_time/selection/selection.json": '{"nights": 2}', "engine/ease/about.json": "[1]",
        "histories/about.json": "[2]", "rehearsal/choices.json": "{}", "rehearsal/lists.parquet": "not needed",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    digest = seal(folder, {"clock": "time", "data_until": 5.0, "learned_until": 7.0})
    for path in folder.rglob("*"):
        if path.is_file():
            store.put(f"versions/{digest}/{path.relative_to(folder).as_posix()}", path)
    assert goes_on_until(store, digest, nights=3) == 7.0
    assert goes_on_until(store, digest, nights=2) is None, "tonight, everything is selected anew"
    assert goes_on_until(store, None, nights=3) is None and goes_on_until(store, "f" * 64, nights=3) is None
    files = pin_state(store, digest, tmp_path / "pinned", until=7.0)
    assert set(files) == {
        "global_time/selection/selection.json", "published/engine/ease/about.json", "published/histories/about.json",
        "published/rehearsal/choices.json",
    }  # fmt: skip
    assert (tmp_path / "pinned/published/engine/ease/about.json").read_text() == "[1]"
    assert read_json(tmp_path / "pinned" / "pin.json")["until"] == 7.0


def test_a_state_that_is_not_as_published_is_refused_by_name(store: LocalStore, tmp_path: Path) -> None:
    digest = version(store, tmp_path / "bundle")
    store.put(f"versions/{digest}/warm/leave_last_out/state.json", b'{"nights": 9}')
    with pytest.raises(
        StoreError, match=r"warm/leave_last_out/state\.json: was changed.*warm_nights and finetune.search_nights to 0"
    ):
        pin_state(store, digest, tmp_path / "warm")
    assert not (tmp_path / "warm").exists()


def test_what_was_learned_from_an_erased_user_is_not_copied_again(
    store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    pq.write_table(pa.table({"user_id": ["ann", "bob"]}), folder / "users.parquet")
    digest = version(store, folder)
    came_from(store, digest, "monday", None)
    settings = load()

    def pinned(erased: list[str], by_hand: list[str]) -> str | None:
        night = tmp_path / "-".join(["night", *erased, "by", *by_hand])
        night.mkdir()
        pq.write_table(pa.table({"user_id": pa.array(erased, pa.string())}), night / "erasures.parquet")
        pin_warm_state(store, settings, "tuesday", by_hand, night)
        found: str | None = read_json(night / "warm" / "pin.json")["version"]
        return found

    assert pinned([], []) == pinned(["eve"], ["dan"]) == digest
    assert pinned(["bob"], []) is None and pinned(["eve"], ["ann"]) is None
    assert (
        "nothing is taken over from the published version's night: 1 of its users are erased" in capsys.readouterr().out
    )
