"""The service: the reader's answers over HTTP, kept and counted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.json
from starlette.testclient import TestClient

from nightreel.bundle import editorial_rules
from nightreel.bundle.format import digest_of
from nightreel.cli.versions import withdrawn_ids
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.support.bundles import UNTIL, lineage, reseal, taste, write_bundle


def ids(answer: dict) -> list[str]:
    return [each["item_id"] for each in answer["items"]]


def test_lists_are_the_readers(client: Client, store: LocalStore) -> None:
    asked, reader = client(), Reader.open(store.uri)
    found = asked.get("/recommend", params={"user": "u001", "k": 5}).json()
    assert ids(found) == [each.item_id for each in reader.recommend("u001", k=5)]
    assert found["version"] == reader.digest and found["known"] and len(found["slate_id"]) == 16
    assert found["items"][0] | {"score": 0} == {
        "rank": 1, "item_id": ids(found)[0], "title": found["items"][0]["title"], "genres": ["Sci-Fi"], "score": 0,
        "propensity": 1.0, "reason": "for you", "reasons": [],
    }  # fmt: skip
    by_history = asked.get("/recommend", params={"history": "i001,nope,i003", "k": 4}).json()
    assert ids(by_history) == [each.item_id for each in reader.recommend(history=["i001", "i003"], k=4)]
    assert by_history["unknown_items"] == ["nope"] and not by_history["known"]
    assert not asked.get("/recommend", params={"user": "nobody"}).json()["known"]
    assert asked.get("/recommend").json()["items"][0]["reason"] == "popular"


def test_every_wish_is_taken(client: Client, store: LocalStore) -> None:
    asked, reader = client(), Reader.open(store.uri)
    wishes = {
        "genres": ["Romance"], "exclude": ["i002"], "max_per_genre": 3, "diversity": 0.4, "freshness": 0.2,
        "pinned": ["i028"], "boosted": ["i010"], "buried": ["i012"], "liked": ["i004"], "skipped": ["i006"],
    }  # fmt: skip
    found = asked.post("/recommend", json={"user": "u001", "k": 6, "reasons": True, **wishes}).json()
    expected = reader.recommend(
        "u001", k=6, reasons=True, options=RequestOptions(**{n: tuple(v) if isinstance(v, list) else v for n, v in wishes.items()})
    )  # fmt: skip
    assert ids(found) == [each.item_id for each in expected] and ids(found)[0] == "i028"
    assert all(each["reasons"] for each in found["items"])
    fields = set(asked.get("/openapi.json").json()["components"]["schemas"]["ListRequest"]["properties"])
    assert set(RequestOptions.__dataclass_fields__) < fields


def test_the_examples_of_the_openapi_document_are_answered(client: Client) -> None:
    asked = client()
    told = asked.get("/openapi.json").json()
    schemas = told["components"]["schemas"]
    for path, schema in (("/recommend", "ListRequest"), ("/feedback", "FeedbackRequest")):
        assert schemas[schema]["examples"]
        for example in schemas[schema]["examples"]:
            assert asked.post(path, json=example).status_code == 200, example
    for path in ("/recommend", "/similar", "/search", "/explain"):
        for parameter in told["paths"][path]["get"]["parameters"]:
            needed = parameter["required"] or parameter["name"] in ("user", "history")
            assert not needed or parameter["schema"].get("examples") or parameter.get("examples"), parameter


def test_a_kept_answer_ends_with_its_rule(client: Client, tmp_path: Path) -> None:
    ends = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    write_bundle(tmp_path / "bundle")
    pin = {"rule": "pin", "target": "i028", "ends_at": ends}
    editorial_rules.write(tmp_path / "bundle", pa.Table.from_pylist([pin], RULES_SCHEMA))
    reseal(tmp_path / "bundle")
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    asked, now = client(store=store.uri), [ends.timestamp() - 1]
    live = asked.app.state.answers.live  # type: ignore[attr-defined]
    live._reader = replace(live.reader, now=lambda: now[0])

    def answers() -> list[dict]:
        wish = {"user": "u001", "k": 5}
        return [asked.get("/recommend", params=wish).json(), asked.post("/recommend", json=wish).json()]

    before = answers()
    assert answers() == before and [ids(each)[0] for each in before] == ["i028"] * 2
    assert before[0]["items"][0]["reason"] == "picked" and before[0]["items"][0]["propensity"] == 1.0
    now[0] += 1
    after = answers()
    assert all("i028" not in ids(each) for each in after)
    assert after[0]["slate_id"] != before[0]["slate_id"] and after[0]["version"] == before[0]["version"]


def test_a_kept_answer_ends_with_its_items_rights(client: Client, tmp_path: Path) -> None:
    opens, ends = UNTIL + 100.0, UNTIL + 200.0
    write_bundle(tmp_path / "bundle", published={28: opens}, expires={28: ends})
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    asked, now = client(store=store.uri), [opens - 1]
    live = asked.app.state.answers.live  # type: ignore[attr-defined]
    live._reader = replace(live.reader, now=lambda: now[0])
    wish = {"k": 30}
    for now[0], shown in ((opens - 1, False), (opens, True), (ends - 1, True), (ends, False)):
        for found in (asked.get("/recommend", params=wish), asked.post("/recommend", json=wish),
                      asked.get("/similar", params={"item": "i026", "k": 29}),
                      asked.get("/search", params={"q": "Love story 28", "k": 30})):  # fmt: skip
            assert ("i028" in ids(found.json())) is shown, (found.url, now[0])


def test_a_list_as_of_another_moment(client: Client) -> None:
    asked = client()
    wish = {"user": "u003", "k": 10}
    for moment in ("last-event", "2023-11-01T00:00:00Z", 1_698_796_800):
        by_get = asked.get("/recommend", params=wish | {"moment": moment}).json()
        assert ids(by_get) == ids(asked.post("/recommend", json=wish | {"moment": moment}).json())
    bad = asked.post("/recommend", json=wish | {"moment": "yesterday"})
    assert (
        bad.status_code == 400
        and "is not a valid time for this version. Give last-event or a time" in bad.json()["error"]
    )


def test_exploration_is_drawn_anew_unless_seeded(client: Client) -> None:
    asked = client()
    wish = {"user": "u001", "k": 8, "explore": 0.6}
    several = [asked.post("/recommend", json=wish).json() for _ in range(4)]
    assert len({tuple(ids(each)) for each in several}) > 1 and len({each["slate_id"] for each in several}) == 4
    assert any(each["propensity"] < 0.5 for each in several[0]["items"])
    seeded = [asked.post("/recommend", json=wish | {"seed": 3}).json() for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_similar_search_explain(client: Client, store: LocalStore) -> None:
    asked, reader = client(), Reader.open(store.uri)
    near = asked.get("/similar", params={"item": "i004", "k": 3}).json()
    assert ids(near) == [each.item_id for each in reader.similar("i004", 3)]
    assert ids(asked.get("/search", params={"q": "spce story 7", "k": 1}).json()) == ["i007"]
    first = reader.recommend("u001", k=1)[0].item_id
    told = asked.get("/explain", params={"user": "u001", "item": first}).json()
    assert told["rank"] == 1 and told["reasons"] and told["evidence"][0]["drop"] > 0


def test_health_readiness_and_metrics(client: Client, store: LocalStore) -> None:
    asked = client()
    assert asked.get("/health").json() == {"status": "ok"}
    ready = asked.get("/ready").json()
    assert (ready["items"], ready["users"], ready["fault"]) == (30, 40, None) and ready["age_s"] is not None
    for _ in range(3):
        asked.get("/recommend", params={"user": "u001"})
    asked.get("/recommend", params={"k": 0})
    asked.get("/no/such/place")
    text = asked.get("/metrics").text
    assert 'nightreel_requests_total{code="200",route="/recommend"} 3.0' in text
    assert 'nightreel_requests_total{code="422",route="/recommend"} 1.0' in text
    assert 'nightreel_requests_total{code="404",route="other"} 1.0' in text
    assert "nightreel_cached_answers_total 2.0" in text and "nightreel_index_age_seconds" in text
    assert 'nightreel_request_seconds_bucket{le="0.001",route="/recommend"}' in text


def test_kept_answers_are_a_versions_own_and_bounded(client: Client, tmp_path: Path) -> None:
    store, digests = LocalStore(tmp_path / "store"), []
    for n in range(2):
        write_bundle(tmp_path / f"b{n}", seed=n)
        digests.append(digest_of(tmp_path / f"b{n}"))
    publish(store, tmp_path / "b0", channel="live", champion=None, lineage=lineage("r0"))
    asked = client(cached=9_000, store=store.uri)
    live = asked.app.state.answers.live  # type: ignore[attr-defined]
    before = [asked.get("/recommend", params={"user": "u001"}).json() for _ in range(2)]
    posted = [asked.post("/recommend", json={"user": "u001"}).json() for _ in range(2)]
    assert before[0] == before[1] and posted[0] == posted[1] and before[0]["version"] == digests[0]
    assert "nightreel_cached_answers_total 2.0" in asked.get("/metrics").text
    publish(store, tmp_path / "b1", channel="live", champion=digests[0], lineage=lineage("r1"))
    assert live.refresh()
    for answer in (asked.get("/recommend", params={"user": "u001"}), asked.post("/recommend", json={"user": "u001"})):
        assert answer.json()["version"] == digests[1]
    for n in range(6):
        asked.get("/recommend", params={"user": f"u00{n}"})
        asked.post("/recommend", json={"user": f"u00{n}"})
    kept_bytes = asked.app.state.answers.kept  # type: ignore[attr-defined]
    assert 1 < len(kept_bytes) < 6 and kept_bytes.size <= 9_000

    def cached() -> str:
        return next(
            e for e in asked.get("/metrics").text.splitlines() if e.startswith("nightreel_cached_answers_total")
        )

    kept = cached()
    asked.get("/recommend", params={"user": "u000"})  # long gone
    assert cached() == kept
    asked.get("/recommend", params={"user": "u005"})
    assert cached() != kept


def test_another_channels_list_beside_the_served_one(client: Client, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    for n, name in enumerate(("live", "canary")):
        write_bundle(tmp_path / name, seed=n)
        publish(store, tmp_path / name, channel=name, champion=None, lineage=lineage(name))
    asked, wanted = client(store=store.uri), {"user": "u001", "k": 5, "diversity": 0.3}
    digests = {name: digest_of(tmp_path / name) for name in ("live", "canary")}
    assert asked.get("/explorer/channels").json() == [
        {"name": name, "version": digests[name], "share": 0.0, "served": name == "live"} for name in ("canary", "live")
    ]
    beside = asked.post("/explorer/beside", json={"channel": "canary", "wanted": wanted}).json()
    expected = client(store=store.uri, channel="canary").post("/recommend", json=wanted).json()
    assert beside == {"channel": "canary", **expected} and beside["version"] == digests["canary"]
    assert beside["items"] != asked.post("/recommend", json=wanted).json()["items"]
    missing = asked.post("/explorer/beside", json={"channel": "trial", "wanted": wanted})
    assert missing.status_code == 400 and "nothing is published yet" in missing.json()["error"]
    assert asked.post("/explorer/beside", json={"channel": "canary", "wanted": {"diversty": 1}}).status_code == 422


def test_the_explorers_own_answers(client: Client) -> None:
    asked = client()
    choices = asked.get("/explorer/choices").json()
    assert len(choices["users"]) == 40 and choices["genres"] == ["Drama", "Romance", "Sci-Fi"]
    past = asked.get("/explorer/history", params={"user": "u001"}).json()
    assert past["known"] and past["events"] == 8 and {taste(int(e["item_id"][1:])) for e in past["items"]} == {1}
    assert not asked.get("/explorer/history", params={"user": "nobody"}).json()["known"]
    page = asked.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert isinstance(asked, TestClient) and "explorer.js" in page.text


def test_what_is_withdrawn_shows_on_no_route_nor_among_kept_answers(client: Client, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r0"))
    asked = client(store=store.uri)
    gone = ids(asked.get("/recommend", params={"user": "u002", "k": 3}).json())
    wishes = {"pinned": gone, "boosted": gone, "explore": 1.0, "seed": 1, "k": 30}

    def answers() -> list[dict]:
        near = {"item": "i004", "k": 30}
        got = [asked.get("/recommend", params=user | {"k": 30}) for user in ({"user": "u002"}, {"user": "x"}, {})]
        got += [asked.get("/recommend", params={"history": "i001,i004", "k": 30}), asked.get("/similar", params=near)]
        got += [asked.get("/search", params={"q": "story", "k": 30}), asked.post("/recommend", json=wishes)]
        return [each.json() for each in got]

    before, hash_before = answers(), asked.get("/ready").json()["withdrawals"]
    assert all(set(ids(each)) & set(gone) for each in before) and before[0]["known"] and hash_before is None
    withdrawn_ids.withdraw(store, None, withdrawn_ids.Named(tuple(gone), ("u002",)))
    assert asked.app.state.answers.live.refresh()  # type: ignore[attr-defined]
    after, ready = answers(), asked.get("/ready").json()
    assert not any(set(ids(each)) & set(gone) for each in after) and all(ids(each) for each in after)
    assert ids(after[0]) == ids(after[1]) and not after[0]["known"]
    pointer = channels.live(store)
    assert pointer is not None and ready["withdrawals"] == pointer.withdrawals and ready["users"] == 39
    assert asked.get("/explain", params={"user": "u002", "item": gone[0]}).json()["left_out"] == "blocked"
    history = asked.get("/explorer/history", params={"user": "u002"}).json()
    assert (history["known"], history["items"], history["interests"]) == (False, [], [])
    assert "u002" not in asked.get("/explorer/choices").json()["users"]
    reader = asked.app.state.answers.live.reader  # type: ignore[attr-defined]
    row = int(reader.users.rows(["u004"])[0])
    past = [reader.items.ids[i] for i in reader.histories[row][0]]
    withdrawn_ids.withdraw(store, None, withdrawn_ids.Named((past[-1],), ()))
    assert asked.app.state.answers.live.refresh()  # type: ignore[attr-defined]
    history = asked.get("/explorer/history", params={"user": "u004"}).json()
    assert past[-1] not in {each["item_id"] for each in history["items"]} and history["events"] == len(past)


def test_a_url_takes_what_a_body_takes(client: Client) -> None:
    """The same wish through both doors is the same list; no parameter is passed over."""
    asked = client()
    for wish in (
        {"audience_age": 6}, {"genres": ["Romance"]}, {"exclude": ["i001", "i003"], "k": 3}, {"exclude_seen": False},
        {"max_per_genre": 2, "diversity": 0.4}, {"pinned": ["i028"], "buried": ["i005"]}, {"offset": 3, "k": 4},
        {"liked": ["i004"], "skipped": ["i006"]}, {"explore": 0.5, "seed": 3}, {"languages": ["zh"]}, {"shown": False},
    ):  # fmt: skip
        body = {"user": "u001", "k": 6, **wish}
        found = asked.get("/recommend", params={n: ",".join(v) if isinstance(v, list) else v for n, v in body.items()})
        assert found.status_code == 200 and found.json() == asked.post("/recommend", json=body).json(), wish
        repeated = asked.get("/recommend", params=body)  # a parameter for each entry
        assert repeated.json() == found.json(), wish
    assert ids(asked.get("/recommend?user=u001&audience_age=0").json())


def test_an_age_limit_holds_on_every_door(client: Client) -> None:
    asked = client()
    for path in ("/recommend?user=u001", "/similar?item=i001", "/search?q=story", "/search?q=spcae%20story%203"):
        every, suitable = (asked.get(f"{path}&k=30{age}").json() for age in ("", "&audience_age=6"))
        assert {int(each[1:]) % 4 for each in ids(every)} == {0, 1, 2, 3}, path
        assert {int(each[1:]) % 4 for each in ids(suitable)} == {0, 1}, path
        for wrong in ("-1", "abc", "151"):
            answer = asked.get(f"{path}&audience_age={wrong}")
            assert answer.status_code == 422 and "query.audience_age" in answer.json()["error"], (path, wrong)


def test_what_a_route_does_not_know_is_refused(client: Client) -> None:
    asked = client()
    for path, hint in (
        ("/recommend?user_id=u001", "did you mean user?"), ("/recommend?limit=3", "query.limit: is not a parameter"),
        ("/recommend?k=3&k=4", "query.k: is given more than once"), ("/similar?item=i001&page=2", "(this route takes item, k, audience_age)"),
        ("/search?q=space&genres=Drama", "query.genres"), ("/explain?item=i001&user=u001&k=3", "query.k"),
        ("/health?x=1", "this route takes none"), ("/ready?x=1", "query.x"), ("/metrics?x=1", "query.x"),
        ("/explorer/history?user=u001&k=3", "query.k"),
    ):  # fmt: skip
        answer = asked.get(path)
        assert answer.status_code == 422 and hint in answer.json()["error"], (path, answer.text)
    for path in ("/recommend?k=3", "/feedback?k=3", "/explorer/beside?k=3"):
        assert asked.post(path, json={}).status_code == 422, path


def test_pages_of_a_list_make_up_the_list(client: Client, store: LocalStore) -> None:
    asked, reader = client(), Reader.open(store.uri)
    whole = reader.recommend("u001", k=30)
    pages = [asked.get("/recommend", params={"user": "u001", "k": 7, "offset": at}).json() for at in range(0, 35, 7)]
    assert [each for page in pages for each in ids(page)] == [each.item_id for each in whole]
    assert [item["rank"] for page in pages for item in page["items"]] == list(range(1, len(whole) + 1))
    shown = ids(pages[0]) + ids(pages[1])
    rest = asked.post("/recommend", json={"user": "u001", "k": 7, "exclude": shown}).json()
    assert not set(ids(rest)) & set(shown)
    many = asked.post("/recommend", json={"user": "u001", "exclude": [f"x{n}" for n in range(9_990)] + shown[:5]})
    assert many.status_code == 413, "this client's limit is 50 kB"


def test_kept_answers_are_limited_by_their_bytes(client: Client) -> None:
    asked = client(cached=40_000)
    for n in range(40):
        assert asked.get("/recommend", params={"k": 30, "reasons": True, "seed": n}).status_code == 200
        assert asked.post("/recommend", json={"k": 30, "reasons": True, "seed": n}).status_code == 200
    by_post = asked.app.state.answers.kept  # type: ignore[attr-defined]
    by_get = asked.app.state.kept  # type: ignore[attr-defined]
    for kept in (by_post, by_get):
        assert 0 < len(kept) < 30 and 20_000 < kept.size <= 40_000
    before = len(by_get)
    assert asked.get("/recommend?visit=1").status_code == 422 and len(by_get) == before


def test_a_list_drawn_at_random_is_not_kept(client: Client) -> None:
    asked = client()
    drawn = [ids(asked.get("/recommend?user=u001&k=8&explore=0.6").json()) for _ in range(5)]
    assert len({tuple(each) for each in drawn}) > 1
    seeded = [asked.get("/recommend?user=u001&k=8&explore=0.6&seed=3").json() for _ in range(2)]
    assert seeded[0] == seeded[1]
