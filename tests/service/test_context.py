"""The context of a request over HTTP: both doors take it, and name what they can't take."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from nightreel.service.options import Options
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.support.bundles import lineage
from tests.support.newcomers import write_with_newcomers


@pytest.fixture
def asked(client: Client, usual: Options, tmp_path: Path) -> TestClient:
    store = LocalStore(tmp_path / "store")
    write_with_newcomers(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r0"))
    return client(store=store.uri)


def test_both_doors_give_the_same_list(asked: TestClient) -> None:
    for query, body in (
        ("context=country%3DDE", {"country": "DE"}),
        ("context=country=DE&context=languages=de,languages=en", {"country": ["DE"], "languages": ["de", "en"]}),
        ("context=country=FR,hour=20", {"country": "FR", "hour": 20}),
    ):
        found = asked.get(f"/recommend?k=5&{query}").json()
        assert found == asked.post("/recommend", json={"k": 5, "context": body}).json(), query
        assert {int(each["item_id"][1:]) % 2 for each in found["items"]} == {int("DE" in query)}
        assert found["items"][0]["reason"] == "popular among similar users" and not found["known"]
    plain, empty = asked.get("/recommend?k=5").json(), asked.post("/recommend", json={"k": 5, "context": {}}).json()
    assert plain["items"] == empty["items"]
    assert (
        asked.get("/recommend?user=anna&k=5").json()["items"]
        == asked.get("/recommend?k=5&context=country=DE").json()["items"]
    )


def test_a_wrong_context_is_told(asked: TestClient) -> None:
    for query in ("context=contry=DE", "context=DE"):
        told = asked.get(f"/recommend?{query}")
        assert told.status_code in (400, 422) and "context: " in told.json()["error"], query
    for body in ({"country": True}, {"country": {"a": 1}}, "DE", {"country": "x" * 300}):
        assert asked.post("/recommend", json={"context": body}).status_code == 422, body
