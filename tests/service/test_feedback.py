"""Feedback: what the events table would refuse is refused, an event counts once, all or none, and at once."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.json
import pytest
from starlette.testclient import TestClient

from nightreel.cli.versions import withdrawn_ids
from nightreel.data.contract.tables import EVENTS_TABLE
from nightreel.service.app import build
from nightreel.service.options import Options
from nightreel.service.recording import event_files
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.support.bundles import lineage, write_bundle


def ids(answer: dict) -> list[str]:
    return [each["item_id"] for each in answer["items"]]


def event(item: str = "i003", kind: str = "like", user: str = "u001", **more: object) -> dict:
    return {"user_id": user, "item_id": item, "event": kind, **more}


def told(folder: Path) -> list[dict]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_feedback_becomes_events_of_the_contract(client: Client, tmp_path: Path) -> None:
    asked = client()
    events = [event(slate_id="0" * 16, position=1, propensity=0.5), event("i005", "watch", value=0.75, session_id="s1")]
    for _ in range(2):
        answer = {"kept": 2, "repeated": 0, "unknown_items": []}
        assert asked.post("/feedback", json={"events": events}).json() == answer
    (path,) = (tmp_path / "feedback").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    table = pyarrow.json.read_json(path)
    assert table.num_rows == 4 and set(table.column_names) <= {column.name for column in EVENTS_TABLE.columns}
    assert told(tmp_path / "feedback")[0]["timestamp"].endswith("+00:00")
    assert client(feedback=None).post("/feedback", json={"events": events}).status_code == 404


@pytest.mark.parametrize(("wrong", "message"), [
    (event(kind="rating", value=99), "events.1.value: is 99.0 for the event rating; give 0.5 to 5"),
    (event(kind="watch", value=-5), "events.1.value: is -5.0 for the event watch; give 0 to 1"),
    (event(kind="like", value=1e300), "events.1.value"),
    (event(item="  "), "events.1.item_id: is empty"),
    (event(user="a\x00b"), "events.1.user_id: holds control characters"),
    (event(item="caf\ufffd"), "events.1.item_id: holds control characters"),
    (event(kind="search"), "event"),
    (event(position=10**30), "position"),
])  # fmt: skip
@pytest.mark.parametrize("recent", [True, False])
def test_what_the_events_table_refuses_is_refused(
    client: Client, tmp_path: Path, wrong: dict, message: str, recent: bool
) -> None:
    asked = client(**({} if recent else {"recent": None}))
    answer = asked.post("/feedback", json={"events": [event(), wrong]})
    assert answer.status_code in (400, 422) and message in answer.json()["error"], answer.text
    assert told(tmp_path / "feedback") == []


def test_items_of_no_catalogue_are_named_and_not_stored(client: Client, tmp_path: Path) -> None:
    """The night sets such rows aside, and too many of them stop it."""
    answer = client().post("/feedback", json={"events": [event("nope"), event("i004"), event("nope")]})
    assert answer.json() == {"kept": 1, "repeated": 0, "unknown_items": ["nope"]}
    assert [row["item_id"] for row in told(tmp_path / "feedback")] == ["i004"]


def test_an_event_with_an_id_counts_once(client: Client, tmp_path: Path) -> None:
    asked, other = client(), client()  # two workers
    batch = {"events": [event(event_id="e1"), event("i005", event_id="e2")]}
    assert asked.post("/feedback", json=batch).json()["kept"] == 2
    again = {"events": [*batch["events"], event("i007", event_id="e3"), event("i007", event_id="e3")]}
    assert other.post("/feedback", json=again).json() == {"kept": 1, "repeated": 3, "unknown_items": []}
    rows = told(tmp_path / "feedback")
    # Each worker has a file of its own, in no order.
    assert sorted(row["item_id"] for row in rows) == ["i003", "i005", "i007"] and "event_id" not in rows[0]


def test_a_full_disk_is_told_and_leaves_no_half_batch(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = client()
    assert asked.post("/feedback", json={"events": [event(event_id="e1")]}).status_code == 200
    (path,) = (tmp_path / "feedback").iterdir()
    before, write = path.read_bytes(), os.write

    def full(target: int, content: bytes) -> int:
        if len(content) > 20:
            return write(target, content[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    listed = ids(asked.get("/recommend?user=u001").json())
    monkeypatch.setattr(event_files.os, "write", full)
    answer = asked.post("/feedback", json={"events": [event(listed[0], "dislike", event_id="e2")]})
    assert (
        answer.status_code == 507 and "The disk is full: nothing of this request was stored" in answer.json()["error"]
    )
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert ids(asked.get("/recommend?user=u001").json()) == listed, "what was not stored does not count"
    again = asked.post("/feedback", json={"events": [event(listed[0], "dislike", event_id="e2")]})
    assert again.json()["kept"] == 1, "it can be told again"


def test_the_next_list_on_any_worker_reflects_it(client: Client) -> None:
    asked, other = client(), client()
    first = ids(asked.get("/recommend?user=u001&k=12").json())
    assert ids(other.get("/recommend?user=u001&k=12").json()) == first  # both have kept it
    stranger = other.get("/recommend?user=nobody").json()
    events = [event(first[0], "dislike"), event(first[1], "skip"), event(first[2], "watch", value=1.0)]
    events += [event("i000", "watch", value=0.9), event("i002", "like"), event("i004", "rating", value=5)]
    assert asked.post("/feedback", json={"events": events}).json()["kept"] == 6
    for worker in (asked, other):
        for answer in (
            worker.get("/recommend?user=u001&k=12"),
            worker.post("/recommend", json={"user": "u001", "k": 12}),
        ):
            after = ids(answer.json())
            assert not set(after) & {*first[:3], "i000", "i002", "i004"}
            assert sum(int(item[1:]) % 2 == 0 for item in after) > sum(int(item[1:]) % 2 == 0 for item in first)
    assert other.get("/recommend?user=nobody").json() == stranger
    told_again = other.get(f"/explain?user=u001&item={after[0]}").json()
    assert told_again["left_out"] is None
    assert asked.get("/explain?user=u001&item=i002").json()["left_out"] == "seen"
    asked.post("/feedback", json={"events": [event(first[0], "like")]})
    assert first[0] not in ids(asked.get("/recommend?user=u001&k=12").json()), "liked now, but seen"
    seen = ids(asked.get("/recommend?user=u001&k=30&exclude_seen=false").json())
    assert first[0] in seen and first[1] not in seen


def test_the_database_holds_pseudonyms_alone_and_forgets(client: Client, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    asked = client(store=store.uri)
    asked.post("/feedback", json={"events": [event(user="u001", event_id="u001-7"), event(user="u002")]})
    path = tmp_path / "recent" / "recent.sqlite"
    content = b"".join(each.read_bytes() for each in path.parent.glob("recent.sqlite*"))
    assert b"u001" not in content and b"u002" not in content and path.stat().st_mode & 0o077 == 0
    withdrawn_ids.withdraw(store, None, withdrawn_ids.Named((), ("u001",)))
    assert asked.app.state.answers.live.refresh()  # type: ignore[attr-defined]
    asked.get("/recommend?user=u002")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM told").fetchone() == (0,)


def test_old_events_go_while_the_service_runs_whichever_worker_took_them(usual: Options, tmp_path: Path) -> None:
    """One second is kept; the second worker is asked for nothing but lists of another user."""
    path = tmp_path / "recent" / "recent.sqlite"

    def held() -> tuple[int, int]:
        with sqlite3.connect(path) as database:
            return tuple(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("events", "told"))

    short = replace(usual, retention_days=1 / 86_400)
    with TestClient(build(short), base_url="http://127.0.0.1:8080") as asked:
        assert asked.post("/feedback", json={"events": [event(event_id="e1"), event("i005")]}).json()["kept"] == 2
        assert held() == (2, 1)
    with TestClient(build(short), base_url="http://127.0.0.1:8080") as other:
        deadline = time.monotonic() + 30
        while held() != (0, 0) and time.monotonic() < deadline:
            assert other.get("/recommend?user=u009").status_code == 200
            time.sleep(0.2)
    assert held() == (0, 0)


def test_an_impression_told_by_service_and_page_counts_once(client: Client, tmp_path: Path) -> None:
    """Whichever worker the page tells; of another user, list or item it is another impression."""
    slates = {"slates": str(tmp_path / "log")}
    asked, other = client(**slates), client(**slates)
    listed = asked.get("/recommend?user=u001&k=3").json()
    seen = [event(item, "impression", slate_id=listed["slate_id"], position=n) for n, item in enumerate(ids(listed), 1)]
    for worker in (asked, other):
        assert worker.post("/feedback", json={"events": seen}).json() == {"kept": 0, "repeated": 3, "unknown_items": []}
    like = event(ids(listed)[0], "like", slate_id=listed["slate_id"])
    others = [
        seen[0] | {"user_id": "u002"},
        seen[0] | {"slate_id": "0" * 16},
        event(ids(listed)[0], "impression"),
        like,
    ]
    assert other.post("/feedback", json={"events": others}).json()["kept"] == 4
    again = [each | {"event_id": f"e{n}"} for n, each in enumerate(others)]
    assert asked.post("/feedback", json={"events": again}).json() == {"kept": 2, "repeated": 2, "unknown_items": []}
    asked.app.state.slates.close()  # type: ignore[attr-defined]
    told_by_service = [row for row in told(tmp_path / "log") if row["slate_id"] == listed["slate_id"]]
    assert [row["item_id"] for row in told_by_service] == ids(listed)


def test_without_its_own_log_the_page_alone_tells_impressions(client: Client, tmp_path: Path) -> None:
    asked = client()
    listed = asked.get("/recommend?user=u001&k=3").json()
    seen = [event(item, "impression", slate_id=listed["slate_id"]) for item in ids(listed)]
    assert asked.post("/feedback", json={"events": seen}).json()["kept"] == 3
    assert asked.post("/feedback", json={"events": seen}).json()["repeated"] == 3
    assert len(told(tmp_path / "feedback")) == 3
