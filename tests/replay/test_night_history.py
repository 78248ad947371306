"""Replayed nights stand in a history by the log's clock, and what is wrong with them is told within 15 minutes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightreel.monitoring import history, notifications
from nightreel.replay import night_history
from tests.support.settings import settings
from tests.support.webhook import Webhook

NIGHT = datetime(2024, 2, 3, tzinfo=UTC).timestamp()
LATER = NIGHT + night_history.LOOK_AFTER_S


@pytest.fixture
def state(tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A replay's state directory, with an address of its own."""
    monkeypatch.delenv(notifications.VARIABLE, raising=False)
    file = tmp_path / "state" / notifications.FILE
    file.parent.mkdir()
    file.touch(0o600)
    file.write_text(webhook.address)
    return file.parent


def alerts(state: Path, at: float) -> list[str]:
    return [each.text for each in night_history.look(state, str(state / "store"), settings(), at).alerts]


def test_a_night_has_the_times_of_the_log(state: Path, webhook: Webhook) -> None:
    night_history.plan_of(state, NIGHT)
    night = night_history.begin(state, NIGHT)
    assert night.file.exists() and NIGHT <= night.ended < NIGHT + 60
    night.finish({"outcome": "promoted"})
    (found,) = history.nights(state)
    assert (found.day, found.trigger, found.outcome) == ("2024-02-03 00:00", "replay", "promoted")
    assert found.ended == night.ended and found.ended - NIGHT < 60
    assert alerts(state, night.ended + night_history.LOOK_AFTER_S) == [] and webhook.got == []


def test_a_bad_night_is_told_with_its_own_day(state: Path, webhook: Webhook) -> None:
    night_history.begin(state, NIGHT).finish({"outcome": "failed", "reason": "no room", "failed_stage": "embed"})
    assert webhook.titles == ["Nightreel: a night went wrong"]
    assert "The night of 2024-02-03 00:00 UTC failed at embed: no room" in webhook.got[0]["message"]
    assert alerts(state, LATER) == ["the night of 2024-02-03 00:00 UTC failed at embed: no room"]
    assert len(webhook.got) == 1, "once"


def test_a_night_that_does_not_begin_is_told_by_its_clock(state: Path, webhook: Webhook) -> None:
    night_history.plan_of(state, NIGHT)
    assert alerts(state, LATER - 60) == []
    assert alerts(state, LATER) == ["the night of 2024-02-03 00:00 UTC has not begun."]
    assert webhook.titles == ["Nightreel: a night is missing"]
    following = NIGHT + 86_400
    night_history.plan_of(state, following)
    night_history.begin(state, following).finish({"outcome": "refreshed"})
    assert alerts(state, following + night_history.LOOK_AFTER_S) == []
    assert webhook.titles[1:] == ["Nightreel: all right again"]


def test_what_a_killed_replay_began_is_replaced(state: Path) -> None:
    killed = night_history.begin(state, NIGHT)
    killed.file.unlink()
    history.write(state, killed.night.model_copy(update={"id": "20240203-000000-1"}))  # of another process
    night_history.begin(state, NIGHT).finish({"outcome": "promoted"})
    assert [night.outcome for night in history.nights(state)] == ["promoted"]
