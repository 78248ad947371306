"""Notifications go to a real HTTP receiver, once for each problem and once when it is over."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from nightreel.monitoring import history, notifications
from nightreel.monitoring.alerts import Alert
from tests.support.webhook import Webhook

LATE = Alert("missed", "1", "the night of 2026-01-01 03:00 UTC has not begun.", "Is `nightreel up` running?")


@pytest.fixture
def receiver(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    monkeypatch.setenv(notifications.VARIABLE, webhook.address)
    return webhook


def test_a_problem_is_sent_once_and_its_end_once(tmp_path: Path, receiver: Webhook) -> None:
    for _ in range(3):
        assert notifications.tell(tmp_path, [LATE], ("missed",)) == []
    assert receiver.titles == ["Nightreel: a night is missing"]
    assert receiver.got[0]["message"].startswith("The night of 2026-01-01 03:00 UTC has not begun.")
    assert "Is `nightreel up` running?" in receiver.got[0]["message"]
    for _ in range(2):
        assert notifications.tell(tmp_path, [], ("missed",)) == []
    assert receiver.titles[1:] == ["Nightreel: all right again"]


def test_each_bad_night_is_told_a_good_one_only_after_a_bad_one(tmp_path: Path, receiver: Webhook) -> None:
    for number, outcome in enumerate(["promoted", "failed", "rejected", "refreshed", "promoted"]):
        night = history.add(
            tmp_path, "schedule", {"began": 1000.0 * number, "outcome": outcome, "reason": f"n{number}"}
        )
        assert notifications.after_night(tmp_path, night) == []
    assert receiver.titles == [
        "Nightreel: a night went wrong",
        "Nightreel: a night went wrong",
        "Nightreel: all right again",
    ]
    assert "failed: n1" in receiver.got[0]["message"] and "was rejected: n2" in receiver.got[1]["message"]


def test_one_look_does_not_end_what_another_kind_of_look_told(tmp_path: Path, receiver: Webhook) -> None:
    notifications.tell(tmp_path, [LATE], ("missed",))
    night = history.add(tmp_path, "schedule", {"began": 1.0, "outcome": "promoted"})
    notifications.after_night(tmp_path, night)
    assert receiver.titles == ["Nightreel: a night is missing"]


def test_what_could_not_be_sent_is_tried_again(tmp_path: Path, receiver: Webhook) -> None:
    receiver.status = 503
    (line,) = notifications.tell(tmp_path, [LATE], ("missed",))
    assert line == "notifications: json://…: not reached. It is tried again at the next look."
    receiver.status = 200
    assert notifications.tell(tmp_path, [LATE], ("missed",)) == [] and len(receiver.got) == 1


def test_an_address_that_fails_costs_the_others_no_second_notification(
    tmp_path: Path, receiver: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address is told of a problem once, and of its end if it was told of the problem."""
    with closing(Webhook()) as other:
        monkeypatch.setenv(notifications.VARIABLE, f"{receiver.address} {other.address}")
        other.status = 503
        for _ in range(3):
            (line,) = notifications.tell(tmp_path, [LATE], ("missed",))
            assert "not reached" in line
        assert len(receiver.got) == 1 and other.got == []
        other.status = 200
        assert notifications.tell(tmp_path, [LATE], ("missed",)) == []
        assert (len(receiver.got), len(other.got)) == (1, 1)
        receiver.status = 503
        assert len(notifications.tell(tmp_path, [], ("missed",))) == 1
        receiver.status = 200
        for _ in range(2):
            assert notifications.tell(tmp_path, [], ("missed",)) == []
        assert receiver.titles == other.titles == ["Nightreel: a night is missing", "Nightreel: all right again"]
        other.status = 503
        assert len(notifications.tell(tmp_path, [LATE], ("missed",))) == 1
        assert notifications.tell(tmp_path, [], ("missed",)) == [] and len(other.got) == 2, "it knows of no problem"
    (noted,) = tmp_path.rglob("told.json")
    assert "json" not in noted.read_text(), "addresses hold passwords"


def test_what_an_earlier_release_has_told_is_not_told_again(tmp_path: Path, receiver: Webhook) -> None:
    told = tmp_path / history.FOLDER / "plan" / "told.json"
    told.parent.mkdir(parents=True)
    told.write_text(json.dumps({"missed 1": LATE.text}))
    assert notifications.tell(tmp_path, [LATE], ("missed",)) == [] and receiver.got == []
    assert notifications.tell(tmp_path, [], ("missed",)) == [] and receiver.titles == ["Nightreel: all right again"]


def test_less_than_urgent_is_not_sent(tmp_path: Path, receiver: Webhook) -> None:
    notifications.tell(tmp_path, [Alert("record", "", "1 run waits", "…", urgent=False)], ("record",))
    assert receiver.got == []


def test_addresses_stand_in_a_file_and_a_wrong_one_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(notifications.VARIABLE, raising=False)
    assert notifications.addresses(tmp_path) == [] and notifications.tell(tmp_path, [LATE], ("missed",)) == []
    file = tmp_path / notifications.FILE
    file.write_text("# who is on call\nnosuch://user:secret@host\n")
    file.chmod(0o600)
    (line,) = notifications.tell(tmp_path, [LATE], ("missed",))
    assert line.startswith("notifications: nosuch://…: is no address that Apprise knows") and "secret" not in line
