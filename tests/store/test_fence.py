"""The fence: only the latest holder of the run's lock publishes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightreel.bundle.format import digest_of
from nightreel.orchestration import lock
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.fence import VARIABLE, LostLock, of_this_run
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bundles")
    for n in range(2):
        write_bundle(root / str(n), seed=n, users=6, items=16, watched=4)
    return [root / str(n) for n in range(2)]


def test_a_run_that_lost_its_lock_cannot_publish(
    tmp_path: Path, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, store = tmp_path / "run:1.lock", LocalStore(tmp_path / "store")
    with lock.exclusive(file, "a run"):
        monkeypatch.setenv(VARIABLE, lock.fence(file)[VARIABLE])
        first = of_this_run()
        assert first is not None and first.number == 1
        publish(store, folders[0], channel="live", champion=None, lineage=lineage("r0"), fence=first)
    live = channels.live(store)
    assert live is not None and live.fence == {"lock": first.name, "number": 1}
    with lock.exclusive(file, "a run"), pytest.raises(LostLock, match=r"lost its lock.*Run again"):
        publish(store, folders[1], channel="live", champion=live.digest, lineage=lineage("r1"), fence=first)
    second = lock.fence(file)[VARIABLE]
    assert second == f"{first.name}:2:{file}"
    monkeypatch.setenv(VARIABLE, second)
    publish(store, folders[1], channel="live", champion=live.digest, lineage=lineage("r1"), fence=of_this_run())
    now = channels.live(store)
    assert now is not None and now.digest == digest_of(folders[1]) and now.fence == {"lock": first.name, "number": 2}
    # Even where the lock's file was put back, the channel itself has seen a later holder.
    file.write_text(json.dumps({"lock": first.name, "number": 1}))
    with pytest.raises(LostLock):
        first.require(now.fence)


def test_a_stage_started_by_hand_has_no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert of_this_run() is None
