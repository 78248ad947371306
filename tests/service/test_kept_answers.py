"""Kept answers: as many as their bytes allow, of the present version alone, and none of what was not understood."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from nightreel.cli.versions import withdrawn_ids
from nightreel.reader.reader import Reader
from nightreel.service.kept_bytes import OVERHEAD, KeptBytes
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.support.bundles import lineage, write_bundle
from tests.support.explored_bundle import write_explored


@pytest.fixture
def own(tmp_path: Path) -> LocalStore:
    """A store of this test alone."""
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return store


def state(asked: TestClient) -> Any:
    return asked.app.state  # type: ignore[attr-defined]


def test_large_answers_leave_room_for_fewer() -> None:
    kept = KeptBytes(10 * (OVERHEAD + 100))
    for n in range(50):
        kept.put("v", n, b"", 100)
    assert len(kept) == 10 and kept.get("v", 49) == b"" and kept.get("v", 39) is None
    kept.put("v", "large", b"", 5 * (OVERHEAD + 100) - OVERHEAD)
    assert len(kept) == 6 and kept.size <= 10 * (OVERHEAD + 100)
    kept.put("v", "too large", b"", 10 * (OVERHEAD + 100))
    assert len(kept) == 6, "it would have driven out all others, and not fit even so"
    assert kept.get("w", 49) is None and (len(kept), kept.size) == (0, 0), "another version is asked for: all goes"


@pytest.mark.parametrize("query", [
    "user=u001&k=3&", "&user=u001&k=3", "user=u001&&k=3", "user=u001&k=3&x", "user=u001&nonsense=1", "user=u001&k=0",
    "user=u001&k=3&k=4", "user=u001&history=i001", "k=3&user=u001&explore=0.5",
])  # fmt: skip
def test_what_is_not_understood_makes_no_entry(client: Client, query: str) -> None:
    asked = client()
    for _ in range(2):
        asked.get(f"/recommend?{query}")
        asked.post("/recommend", json={"user": "u001", "nonsense": 1})
        asked.get("/nowhere?user=u001")
    assert (len(state(asked).kept), len(state(asked).answers.kept)) == (0, 0)
    asked.get("/recommend?user=u001&k=3")
    assert len(state(asked).kept) == 1


def test_answers_of_a_gone_version_are_dropped(client: Client, own: LocalStore, tmp_path: Path) -> None:
    asked = client(store=own.uri)
    for n in range(5):
        asked.get(f"/recommend?user=u00{n}")
        asked.post("/recommend", json={"user": f"u00{n}"})
    assert (len(state(asked).kept), len(state(asked).answers.kept)) == (5, 5)
    write_bundle(tmp_path / "next", seed=1)
    before = Reader.open(own.uri).digest
    publish(own, tmp_path / "next", channel="live", champion=before, lineage=lineage("n"))
    assert state(asked).answers.live.refresh()
    assert asked.get("/recommend?user=u001").json()["version"] != before
    asked.post("/recommend", json={"user": "u001"})
    assert (len(state(asked).kept), len(state(asked).answers.kept)) == (1, 1)


def test_an_answer_that_comes_after_its_version_is_gone_is_not_kept(client: Client, own: LocalStore) -> None:
    """Nor does it drive out those of the present version."""
    asked = client(store=own.uri)
    answers, editions = state(asked).answers, []

    def slowly(reader: Reader) -> str:
        editions.append(reader.edition)
        withdrawn_ids.withdraw(own, None, withdrawn_ids.Named(("i001",), ()))
        assert answers.live.refresh()
        return "from before the withdrawal"

    def at_once(reader: Reader) -> str:
        editions.append(reader.edition)
        return "from now"

    assert asyncio.run(answers.of("slow", slowly)) == b'"from before the withdrawal"'
    assert len(answers.kept) == 0
    asyncio.run(answers.of("quick", at_once))
    assert len(answers.kept) == 1 and editions[0] != editions[1]


def test_a_list_that_was_drawn_is_kept_for_its_day(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By user and day: the same answer again, until the day is over; a version without exploration has no days."""
    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    store = LocalStore(tmp_path / "explored")
    write_explored(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    asked = client(store=store.uri)
    live = state(asked).answers.live
    told = [asked.get("/recommend?user=u001&k=10").json() for _ in range(2)]
    assert told[0] == told[1] and len(state(asked).kept) == 1
    assert {each["reason"] for each in told[0]["items"]} == {"for you", "explored"}
    posted = asked.post("/recommend", json={"user": "u001", "k": 10}).json()
    assert posted["items"] == told[0]["items"]
    assert asked.post("/recommend", json={"user": "u001", "k": 10, "explore": 0.3}).json()["items"] == told[0]["items"]
    edition = live.reader.edition
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(live, "_reader", replace(live.reader, now=lambda: tomorrow))
    assert live.reader.edition != edition
    assert asked.get("/recommend?user=u001&k=10").json()["items"] != told[0]["items"]
    write_bundle(tmp_path / "plain")
    plain = Reader.open_bundle(tmp_path / "plain")
    assert plain.edition == replace(plain, now=lambda: tomorrow).edition
