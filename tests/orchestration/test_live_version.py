"""What a night that published nothing says is served, since when, and what it withdrew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nightreel.orchestration.live_version import channel_of, served, withdrawn
from nightreel.orchestration.project import Project
from nightreel.orchestration.summary import summarise
from nightreel.stage import save_run_note, write_json
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A night that was rejected, over a version of the night before."""
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    (tmp_path / "params.yaml").write_text("snapshot: {channel: live}\n")
    write_json(
        tmp_path / "data" / "publish" / "receipt.json",
        {"channel": "live", "decision": "reject", "published": False, "digest": None, "reason": "rejected: worse"},
    )
    return Project(tmp_path, tmp_path / "state")


def test_a_rejected_night_says_in_a_line_what_is_served_and_what_was_withdrawn(project: Project) -> None:
    assert served(project, channel_of(project), 0.0) == ""
    write_bundle(project.root / "bundle")
    digest = publish(open_store(), project.root / "bundle", channel="live", champion=None, lineage=lineage("r")).digest
    assert served(project, "live", 0.0) == f"serving {digest[:12]} of 2026-11-22"
    save_run_note("withdraw", {"items": 4, "users": 1, "warnings": []})
    told = summarise(project, [], 3).published
    assert told == (
        f"nothing published: rejected: worse; serving {digest[:12]} of 2026-11-22; withdrawn tonight: 4 items, 1 user"
    )
    assert withdrawn(project, time.time() + 60) == ""  # that was another night
    save_run_note("withdraw", {"items": 0, "users": 0, "warnings": ["the table items would hide …"]})
    assert withdrawn(project, 0.0) == (
        "withdrawn tonight: nothing new; some withdrawals were not applied, see the warnings of stage withdraw"
    )
