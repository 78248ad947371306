"""Bodies: each name once, no number taken for a flag, no id that a night would set aside, and errors that say why."""

from __future__ import annotations

import json

import pytest

from tests.service.conftest import Client

DEEP = "[" * 20_000
AGE = '{"user": "u001", "audience_age": 0, "audience_age": 99}'


@pytest.mark.parametrize(("body", "message"), [
    (AGE, "body: names 'audience_age' twice; give it once"),
    ('{"history": ["i001"], "k": 1, "k": 9}', "body: names 'k' twice"),
    ('{"user": "u001", "diversity": NaN}', "body: holds NaN, which is no JSON"),
    ('{"user": "u001", "moment": -Infinity}', "body: holds -Infinity, which is no JSON"),
    ('{"k": true}', "body.k: is true, which is no value of this field"),
    ('{"audience_age": true}', "body.audience_age: is true"),
    ('{"moment": true}', "body.moment: is true"),
    ('{"k": ' + "9" * 5000 + "}", "body: Exceeds the limit"),
    ('{"user": ' + DEEP, "body: is nested too deeply"),
    ('{"user": "\\ud800"}', "body.user: "),
    ('{"\\ud800": 1}', "body: "),
    ("{'k': 1}", "body: is no JSON: Expecting property name enclosed in double quotes (character 1)"),
    ('{"user": "a\\u0000b"}', "body.user: holds control characters, so the events table would refuse it"),
    ('{"user": "u001\\n"}', "body.user: holds control characters"),
    ('{"user": " "}', "body.user: is empty"),
])  # fmt: skip
def test_what_is_no_clear_wish_is_refused_with_its_reason(client: Client, body: str, message: str) -> None:
    answer = client().post("/recommend", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and message in answer.json()["error"], answer.text


def test_true_and_false_are_taken_where_they_are_meant(client: Client) -> None:
    wanted = {"user": "u001", "reasons": True, "exclude_seen": False, "shown": False}
    assert client().post("/recommend", json=wanted).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "garbage"}])
def test_what_is_not_sent_as_json_is_told_so(client: Client, headers: dict[str, str]) -> None:
    """A page of another origin can send these without asking; only JSON needs the service's leave."""
    answer = client().post("/recommend", content=b'{"k": 1}', headers=headers)
    assert (
        answer.status_code == 422 and "send it with the header Content-Type: application/json" in answer.json()["error"]
    )
    as_json = {"Content-Type": "application/vnd.api+json; charset=utf-8"}
    assert client().post("/recommend", content=b'{"k": 1}', headers=as_json).status_code == 200


def test_an_error_does_not_repeat_a_long_name(client: Client) -> None:
    answer = client().post("/recommend", json={"x" * 40_000: 1})
    assert answer.status_code == 422 and len(answer.content) < 500


@pytest.mark.parametrize(
    "query", ["/recommend?user=%00", "/recommend?user=%ff", "/recommend?user=a%0Ab", "/explain?item=i001&user=%20"]
)
def test_a_user_whom_no_table_takes_is_refused_in_a_url_too(client: Client, query: str) -> None:
    """Else the log of lists would hold rows that the next night sets aside, and too many of them stop it."""
    answer = client().get(query)
    assert answer.status_code == 422 and "the events table would refuse it" in answer.json()["error"]


@pytest.mark.parametrize(("field", "value"), [
    ("value", True), ("position", True), ("session_id", "s\x00"), ("slate_id", "s\n"), ("variant", "\ufffd"), ("user_id", "u\nv"),
])  # fmt: skip
def test_feedback_that_a_night_would_set_aside_is_refused(client: Client, field: str, value: object) -> None:
    event = {"user_id": "u001", "item_id": "i003", "event": "rating", "value": 4, field: value}
    answer = client().post(
        "/feedback", content=json.dumps({"events": [event]}), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422) and field in answer.json()["error"], answer.text
