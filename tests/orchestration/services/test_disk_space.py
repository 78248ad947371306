"""A full disk under `nightreel up` is told at once, and once; so is its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.services import disk_space


def test_a_disk_without_room_is_named_with_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_space.shortage(tmp_path) is None
    disk_space.require(tmp_path)
    monkeypatch.setattr(disk_space, "LEAST", 10**18)
    with pytest.raises(UserError, match=r"MB are left on the device, .* Free some space\. Then start"):
        disk_space.require(tmp_path)
    monkeypatch.setattr(disk_space, "LEAST", 0)
    monkeypatch.setattr(disk_space, "SHARE", 1.1)
    assert str(tmp_path) in str(disk_space.shortage(tmp_path)), "the store's share of a large disk"


def test_it_is_told_once_when_it_fills_and_once_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    watch, usual = disk_space.DiskWatch(tmp_path, told.append), disk_space.LEAST
    for least, full in ((usual, False), (10**18, True), (10**18, True), (usual, False), (usual, False)):
        monkeypatch.setattr(disk_space, "LEAST", least)
        assert watch.look() is full
    assert len(told) == 2 and "is not started again" in told[0] and "room on the disk again" in told[1]
