"""Whether the newest events are missing, by made histories: what is normal is never an alarm, a missing day always."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from nightreel.monitoring import history
from nightreel.monitoring.late_log import late_log
from nightreel.monitoring.night import Night, Trigger
from nightreel.monitoring.notifications import TITLES, VARIABLE, after_night
from nightreel.monitoring.status import status
from tests.monitoring.test_alerts import THREE, WATCH
from tests.support.webhook import Webhook

HOUR, DAY = 3600.0, 86_400.0
NAMES = count()


def night(began: float, until: float | None, trigger: Trigger = "schedule", **facts: object) -> Night:
    """A night whose log ends at a time; both in seconds after the first night."""
    found = {"id": f"{next(NAMES):06d}", "began": THREE + began, "ended": THREE + began, "trigger": trigger}
    found |= {"outcome": "promoted", "data_until": None if until is None else THREE + until}
    return Night.model_validate(found | facts)


def nightly(lags: Sequence[float], step: float = DAY) -> list[Night]:
    """Nights with these lags in hours, the earliest first."""
    return [night(number * step, number * step - lag * HOUR) for number, lag in enumerate(lags)]


def alarms(nights: Sequence[Night]) -> list[int]:
    """The numbers of the nights after which the log would have been called late."""
    seen = (nights[max(0, at + 1 - history.LOOKED_AT) : at + 1] for at in range(len(nights)))
    return [at for at, each in enumerate(seen) if late_log(each[::-1]) is not None]


NORMAL = [1.0] * 10


@pytest.mark.parametrize(
    ("lags", "wanted"),
    [
        ([*NORMAL, 25.0, 1.0, 1.0], [10]),  # it came with the next night
        ([*NORMAL, 25.0, 49.0, 73.0, 1.0], [10, 11, 12]),  # and here after three
        ([*NORMAL, *(1.0 + 24 * n for n in range(1, 21))], list(range(10, 30))),  # what delivers it is dead
        ([*NORMAL, *[25.0] * 12], list(range(10, 17))),  # a day later for good: after a week it is normal
        ([*NORMAL, 25.0, *NORMAL, 25.0, 1.0], [10, 21]),  # an earlier one is not normal
        ([3.0, 1.0, 2.0, 1.5, 1.0, 4.0, 2.0, 27.0], [7]),  # the eighth night
        ([*NORMAL, 13.0, 6.0, 12.9], [10]),  # half a day
    ],
)
def test_a_missing_day_is_told_as_long_as_it_is_missing(lags: list[float], wanted: list[int]) -> None:
    assert alarms(nightly(lags)) == wanted


@pytest.mark.parametrize(
    "lags",
    [
        [1.0 + 24 * (n % 7) for n in range(60)],  # delivered once a week
        [1.0 + 24 * max(0, n % 7 - 5) for n in range(60)],  # not on Saturday and Sunday
        [1.0 + 24 * (n % 7 == 6) for n in range(60)],  # not on Sunday
        [1.0 + 24 * (n % 7 == 3) for n in range(60)],  # the same, from another day on
        [1.0 + 24 * n for n in range(40)],  # a log that never changes
        [1.0 + 24 * (n % 30) for n in range(90)],  # once a month
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 25.0],  # nothing is known of the seventh day of the week
    ],
)
def test_a_source_that_is_not_there_every_night_is_never_late(lags: list[float]) -> None:
    assert alarms(nightly(lags)) == []


def test_a_year_of_a_normal_platform_has_no_alarm() -> None:
    chance, nights = random.Random(7), list[Night]()
    for number in range(365):
        began = number * DAY + chance.choice([0.0, chance.uniform(0, 2 * HOUR)])  # the machine was busy
        until = number * DAY - chance.uniform(0.1, 4) * HOUR
        if chance.random() < 0.05:  # failed before its log was read
            nights.append(night(began, None, outcome="failed"))
            continue
        nights.append(night(began, until))
        if chance.random() < 0.2:  # a person runs it in the afternoon, when nothing new has come
            nights.append(night(began + 12 * HOUR, until, "terminal"))
    assert alarms(nights) == []


def test_weekly_nights_of_a_weekly_source() -> None:
    assert alarms(nightly([2.0] * 9, 7 * DAY)) == []
    assert alarms(nightly([*[2.0] * 9, 7 * 24 + 2.0, 2.0], 7 * DAY)) == [9]


def test_a_run_by_hand_says_only_that_the_log_has_caught_up() -> None:
    nights = nightly([*NORMAL, 25.0])
    still, came = (night(10 * DAY + 6 * HOUR, until, "terminal") for until in (9 * DAY - HOUR, 10 * DAY - HOUR))
    assert late_log([still, *reversed(nights)]) is not None
    assert late_log([came, *reversed(nights)]) is None


def test_another_timetable_or_another_source_is_learned_anew() -> None:
    normal = nightly([1.0] * 10)
    noon = [night(number * DAY + 13 * HOUR, number * DAY - HOUR) for number in range(9, 20)]
    assert alarms([*normal, *noon]) == []
    other = [night(number * DAY, -DAY, source="other") for number in range(10, 14)]
    assert alarms([*normal, *other]) == []
    assert alarms([night(number * DAY, None) for number in range(20)]) == [], "no timestamps"
    assert alarms([]) == []


def test_cron_runs_it_in_a_terminal() -> None:
    nights = [each.model_copy(update={"trigger": "terminal"}) for each in nightly([*NORMAL, 25.0, 1.0])]
    assert alarms(nights) == [10]


def test_status_and_a_notification_say_it_the_same_night_and_once(
    tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, webhook.address)
    for number, each in enumerate(nightly([*NORMAL, 25.0, 49.0])):
        history.write(tmp_path, each)
        assert after_night(tmp_path, each) == [] and len(webhook.got) == (number >= 10)
    found = status(tmp_path, str(tmp_path / "store"), "live", WATCH, now=THREE + 11 * DAY + HOUR)
    (alert,) = [each for each in found.alerts if each.kind == "late"]
    assert not found.well and alert.text == (
        "the log of the night of 2026-01-12 03:00 UTC ends at 2026-01-10 02:00 UTC, 2 days before it; on the last 10 "
        "normal nights it was at most 60 min. The newest events are probably missing."
    )
    assert "The log of the night of 2026-01-11 03:00 UTC ends" in webhook.got[0]["message"]
    back = night(12 * DAY, 12 * DAY - HOUR)
    history.write(tmp_path, back)
    after_night(tmp_path, back)
    assert webhook.titles == [f"Nightreel: {TITLES['late']}", "Nightreel: all right again"]
