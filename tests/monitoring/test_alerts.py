"""What counts as a problem, and when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.evaluation.gate.verdict import LIKE, STOPS
from nightreel.monitoring import alerts, expected
from nightreel.monitoring.expected import Expected
from nightreel.monitoring.night import Night, Outcome
from nightreel.settings.watch import Watch

WATCH = Watch(late_minutes=15, longest_hours=2, oldest_hours=50)
THREE = 1_767_236_400.0  # 2026-01-01, 3:00


def night(outcome: Outcome, began: float = THREE, **facts: object) -> Night:
    name = f"{began:.0f}"
    return Night.model_validate({"id": name, "began": began, "trigger": "schedule", "outcome": outcome} | facts)


def test_the_last_finished_night_counts_and_a_running_one_does_not() -> None:
    failed = night("failed", THREE - 86_400, reason="finetune: no space left", failed_stage="finetune")
    (problem,) = alerts.of_nights([night("running"), failed])
    assert problem.text == "the night of 2025-12-31 03:00 UTC failed at finetune: no space left"
    assert problem.urgent and "nightreel run" in problem.remedy
    assert alerts.of_nights([night("promoted"), failed]) == [] == alerts.of_nights([night("refreshed")])


def test_what_to_do_holds_where_no_version_was_ever_live_too() -> None:
    remedies: dict[Outcome, str] = {"stopped": "nightreel run", "held": "override", "empty": "nightreel report"}
    for outcome, wanted in remedies.items():
        (problem,) = alerts.of_nights([night(outcome)])
        assert problem.remedy.startswith("What is served has not changed. ") and wanted in problem.remedy
    assert "Correct it" not in alerts.of_nights([night("stopped")])[0].remedy, "whoever stopped it corrected nothing"


def test_a_refresh_on_drifted_data_is_told_and_wakes_nobody() -> None:
    why = "hold (drifted data): value of watch: PSI 5.206"
    (note,) = alerts.drifted([night("running"), night("refreshed", label="drifted data", reason=why), night("failed")])
    assert note.text == f"the night of 2026-01-01 03:00 UTC refitted the live version on drifted data: {why}"
    assert not note.urgent and "nightreel rollback" in note.remedy
    assert alerts.drifted([night("refreshed", label="worse"), night("refreshed", label="drifted data")]) == []
    assert alerts.drifted([night("held", label="drifted data")]) == [], "that night is told as one that went wrong"
    assert STOPS[LIKE] == alerts.DRIFTED


def test_bad_nights_in_a_row_are_counted() -> None:
    row = [night("held"), night("rejected"), night("failed"), night("promoted"), night("failed")]
    (problem,) = alerts.of_nights(row)
    assert problem.text.endswith("It is the last of 3 such nights.")


@pytest.mark.parametrize(("minutes", "count"), [(-60, 0), (14, 0), (15, 1), (600, 1)])
def test_a_night_is_missed_after_a_quarter_of_an_hour(minutes: int, count: int) -> None:
    assert len(alerts.missed(THREE, THREE + 60 * minutes, WATCH)) == count


def test_a_planned_night_stays_due_until_one_begins(tmp_path: Path) -> None:
    day, before = 86_400.0, night("promoted", THREE - 86_400)
    expected.remember(tmp_path, THREE, paused=False, nights=[before], now=THREE - 3600)
    # The scheduler has stopped, or the worker: the server plans the next day, and nobody ran tonight.
    plan = expected.remember(tmp_path, THREE + day, paused=False, nights=[before], now=THREE + 1000)
    assert plan == Expected(THREE, THREE + day) == expected.kept(tmp_path)
    assert expected.unfulfilled(plan, [before]) == THREE
    assert expected.unfulfilled(plan, [night("running", THREE + 1100), before]) is None
    plan = expected.remember(
        tmp_path, THREE + day, paused=False, nights=[night("failed", THREE + 1100)], now=THREE + 1200
    )
    assert plan.due == THREE + day


def test_a_paused_schedule_plans_nothing(tmp_path: Path) -> None:
    expected.remember(tmp_path, THREE, paused=False, nights=[], now=THREE - 60)
    plan = expected.remember(tmp_path, None, paused=True, nights=[], now=THREE + 3600)
    assert expected.unfulfilled(plan, []) is None


def test_a_silent_night_and_an_endless_one_are_stuck() -> None:
    running = night("running")
    assert alerts.stuck(running, 14 * 60, THREE + 900, WATCH) == []
    (silent,) = alerts.stuck(running, 16 * 60, THREE + 1000, WATCH)
    (endless,) = alerts.stuck(running, 5, THREE + 2.5 * 3600, WATCH)
    assert "done nothing for 16 minutes" in silent.text and "running for 2.5 hours" in endless.text


def test_an_old_version_says_why() -> None:
    nothing_new, failed = [night("unchanged")], [night("failed")]
    assert alerts.old(THREE, nothing_new, THREE + 49 * 3600, WATCH) == []
    (problem,) = alerts.old(THREE, nothing_new, THREE + 51 * 3600, WATCH)
    assert problem.text == "the live version is 51 hours old: the last night found nothing new in the source."
    assert alerts.old(THREE, failed, THREE + 51 * 3600, WATCH)[0].text.endswith(": the last night failed.")
    assert "no night ran" in alerts.old(THREE, [], THREE + 51 * 3600, WATCH)[0].text
    assert alerts.old(None, [], THREE, WATCH) == []
