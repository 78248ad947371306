"""The service guarded and bounded: what it refuses, whom it asks for a token, how long it works and waits."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.service.connections.middleware import Guard
from nightreel.service.metrics import Metrics
from nightreel.service.options import Options, require_safe
from tests.service.conftest import Client

SECRET = "a-secret-of-24-characters"


@pytest.mark.parametrize(("method", "path", "options", "code", "message"), [
    ("GET", "/similar", {"params": {"item": "i04"}}, 404, "no item has this id or title. Did you mean "),
    ("GET", "/explain", {"params": {"item": "zzzz"}}, 404, "no item has this id"),
    ("GET", "/recommend", {"params": {"user": "a", "history": "i001"}}, 400, "Give a user or a history, not both"),
    ("GET", "/recommend", {"params": {"k": 0}}, 422, "query.k: Input should be greater than or equal to 1"),
    ("GET", "/recommend", {"params": {"user": ""}}, 422, "user: String should have at least 1 character"),
    ("GET", "/recommend", {"params": {"history": "i001," + "x" * 257}}, 422, "history.1: String should have at most 256"),
    ("GET", "/similar", {}, 422, "query.item: Field required"),
    ("POST", "/recommend", {"json": {"diversty": 1}}, 422, "body.diversty: Extra inputs are not permitted"),
    ("POST", "/recommend", {"json": {"explore": 2}}, 422, "body.explore: "),
    ("POST", "/recommend", {"content": b"{"}, 422, "body"),
    ("POST", "/recommend", {"json": {"exclude": ["x" * 200] * 500}}, 413, "longer than 50000 bytes"),
    ("POST", "/feedback", {"json": {"events": [{"user_id": "a", "item_id": "b", "event": "boo"}]}}, 422, "event"),
    ("POST", "/feedback", {"json": {"events": []}}, 422, "body.events"),
])  # fmt: skip
def test_what_goes_wrong_is_told(
    client: Client, method: str, path: str, options: dict, code: int, message: str
) -> None:
    answer = client().request(method, path, **options)
    assert answer.status_code == code and message in answer.json()["error"]


def test_a_body_without_a_length_is_bounded_too(client: Client) -> None:
    answer = client(body=1000).post("/recommend", content=(b"x" * 100 for _ in range(100)))
    assert answer.status_code == 413


def test_a_token_is_asked_for(client: Client) -> None:
    asked = client(token=SECRET)
    for path in ("/recommend", "/metrics", "/explorer/choices", "/openapi.json"):
        refused = asked.get(path)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert asked.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert asked.get(path, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
    for path in ("/", "/health", "/ready", "/explorer.css", "/explorer.js"):
        assert asked.get(path).status_code == 200


def test_without_a_token_only_loopback_names_are_answered(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = client()
    assert asked.get("/recommend", headers={"Host": "evil.example:8080"}).status_code == 421
    assert asked.get("/recommend", headers={"Host": "localhost:8080"}).status_code == 200
    with pytest.raises(UserError, match=r"0\.0\.0\.0: the service would be reachable .* Set NIGHTREEL_TOKEN"):
        require_safe("0.0.0.0")
    require_safe("127.0.0.1")
    monkeypatch.setenv("NIGHTREEL_TOKEN", "short")
    with pytest.raises(UserError, match="NIGHTREEL_TOKEN has 5 characters; the minimum is 16"):
        require_safe("0.0.0.0")
    monkeypatch.setenv("NIGHTREEL_TOKEN", SECRET)
    require_safe("0.0.0.0")
    monkeypatch.delenv("NIGHTREEL_SERVE", raising=False)
    with pytest.raises(UserError, match="Start the service with `nightreel serve`"):
        Options.taken()


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = Reader.search

    def later(self: Reader, text: str, k: int, **named: Any) -> object:
        time.sleep(seconds if text != "a" else 0)  # not while warming
        return real(self, text, k, **named)

    monkeypatch.setattr(Reader, "search", later)


def test_an_answer_that_takes_too_long_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 0.5)
    asked = client(timeout_s=0.1)
    answer = asked.get("/search", params={"q": "space"})
    assert answer.status_code == 504 and "timed out" in answer.json()["error"]
    assert asked.get("/recommend").status_code == 200


def test_more_than_may_wait_are_turned_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 0.2)
    asked, codes = client(threads=1, queue=1), []

    def one(n: int) -> None:
        codes.append(asked.get("/search", params={"q": f"space {n}"}).status_code)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 200, 503, 503]
    assert asked.get("/search", params={"q": "space 9"}).status_code == 200


def test_every_error_is_json_and_has_a_request_id(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = client()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("u001 said no")

    for method, path, code in (("GET", "/no/such", 404), ("DELETE", "/recommend", 405), ("GET", "/feedback", 405)):
        answer = asked.request(method, path)
        assert (answer.status_code, set(answer.json())) == (code, {"error"}) and answer.headers["x-request-id"]
    monkeypatch.setattr(Reader, "similar", fails)
    answer = asked.get("/similar?item=i001", headers={"X-Request-Id": "abc-1"})
    assert answer.status_code == 500 and "under the request id abc-1" in answer.json()["error"]
    assert "u001" not in answer.text and answer.headers["x-request-id"] == "abc-1"
    assert asked.get("/health", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"] != "a b\tc"


def test_head_is_answered_as_get_without_a_body(client: Client) -> None:
    asked = client()
    for path in ("/health", "/ready", "/recommend?user=u001", "/recommend?user=u001", "/", "/no/such"):
        by_get, by_head = asked.get(path), asked.head(path)
        assert by_head.status_code == by_get.status_code and by_head.content == b"", path
        assert by_head.headers["content-type"] == by_get.headers["content-type"]
    assert asked.head("/health").headers["content-length"] == str(len(asked.get("/health").content))


def test_a_length_and_chunks_together_are_refused(client: Client) -> None:
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    answer = client().post("/recommend", content=b"{}", headers=headers)
    assert answer.status_code == 400 and "not both" in answer.json()["error"]


def test_the_access_log_names_routes_and_no_persons(client: Client, tmp_path: Path) -> None:
    asked = client(access_log=str(tmp_path / "logs" / "access.jsonl"))
    asked.get("/recommend?user=u001&k=3", headers={"X-Request-Id": "r1"})
    asked.get("/recommend?user=u001&k=3")
    asked.head("/health")
    asked.get("/explain?user=u001&item=zzz")
    asked.get("/users/u001")
    text = (tmp_path / "logs" / "access.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["method"], row["route"], row["status"]) for row in rows] == [
        ("GET", "/recommend", 200), ("GET", "/recommend", 200), ("HEAD", "/health", 200), ("GET", "/explain", 404),
        ("GET", "other", 404),
    ]  # fmt: skip
    assert rows[0]["request"] == "r1" and all(row["ms"] >= 0 for row in rows) and "u001" not in text


def test_who_is_not_answered_before_the_service_ends_is_told() -> None:
    """uvicorn cancels what still runs at the end of its patience; a body, once begun, can't be taken back."""
    told: list[Message] = []

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(600)

    async def sending(message: Message) -> None:
        told.append(message)

    async def asked() -> None:
        guard = Guard(never, Metrics.fresh(), None, body=1000)
        scope = {"type": "http", "method": "GET", "path": "/recommend", "headers": [(b"host", b"localhost")]}
        running = asyncio.create_task(guard(scope, cast(Receive, None), sending))
        await asyncio.sleep(0)
        running.cancel()
        await running

    asyncio.run(asked())
    assert told[0]["status"] == 503 and b"The service is being stopped" in told[1]["body"]
