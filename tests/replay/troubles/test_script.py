"""A script is read whole, and each of its mistakes is told with its line or night, before the first night."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.replay.troubles import script
from nightreel.replay.troubles.kinds import KilledStage, Takedown
from nightreel.replay.troubles.script import Scope

GOOD = """
expect: refreshed
nights:
  - night: 3
    troubles:
      - {kind: takedown, items: 20}
      - {kind: killed stage, stage: finetune}
    expect: [failed, stopped]
    named: SIGKILL
  - night: 4
    troubles: [{kind: no night}]
"""
SCOPE = Scope(5, ("snapshot", "finetune"), {"events": {"user_id", "item_id", "timestamp", "event"}})


def written(folder: Path, text: str) -> Path:
    path = folder / "trouble.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_script_says_what_happens_and_what_is_expected(tmp_path: Path) -> None:
    found = script.read(written(tmp_path, GOOD))
    third = found.on(3)
    assert third is not None and third.named == ("SIGKILL",)
    assert third.troubles == (
        Takedown(kind="takedown", items=20),
        KilledStage(kind="killed stage", stage="finetune", after_s=0.5),
    )
    assert found.expected(3) == ("failed", "stopped")
    assert found.expected(4) == found.expected(1) == ("refreshed",) and found.on(1) is None
    script.require_fitting(found, tmp_path, SCOPE)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("items: 20", "items: none", r"trouble.yaml:6: nights 1, troubles 1, takedown, items: Input should be a valid"),
        ("kind: no night", "kind: flood", r"trouble.yaml:11: nights 2, troubles 1: .*'flood'.*'corrupt day'"),
        ("expect: [failed, stopped]", "expect: []", r"trouble.yaml:8: nights 1, expect: .*at least 1"),
        ("expect: refreshed", "expect: fine", r"trouble.yaml:2: expect 1.*: Input should be"),
        ("night: 4", "nihgt: 4", r"trouble.yaml:10: nights 2, night: Field required"),
        ("nights:", "nights: [", r"is not valid YAML: .*line"),
        (GOOD, "", r"trouble.yaml:1: nights: Field required"),
        (GOOD, "- night", r"trouble.yaml:1: the script: Input should be"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, before: str, after: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        script.read(written(tmp_path, GOOD.replace(before, after)))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--script .*none.yaml: can't be read"):
        script.read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("night: 4", "night: 6", "night 6: the replay has 5 nights"),
        ("night: 4", "night: 3", "night 3: is described twice"),
        ("stage: finetune", "stage: tune", "night 3: killed stage: there is no stage 'tune'. Choose one of snapshot"),
        ("night: 4\n    troubles: [{kind: no night}]", "night: 1\n    troubles: [{kind: bot}]", "night 1: bot needs"),
        (
            "{kind: no night}",
            "{kind: schema change, column: value}",
            "night 4: schema change: table events has no column 'value'. It has event, item_id",
        ),
    ],
)
def test_a_script_that_does_not_fit_the_replay_is_refused(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(UserError, match=says):
        script.require_fitting(script.read(path), path, SCOPE)
