"""The log of served lists: whole, bounded, and good for valuing another version's lists."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from nightreel.data.dataset import load_dataset
from nightreel.evaluation.logs.logged_slates import off_policy
from nightreel.evaluation.metrics.bootstrap import Draws
from nightreel.reader.reader import Reader
from nightreel.service.app import build
from nightreel.service.metrics import Metrics
from nightreel.service.options import Options
from nightreel.service.recording import event_files, impression_log
from nightreel.service.recording.impression_log import SlateLog
from nightreel.store.backends.local import LocalStore
from nightreel.store.channels import resolve
from nightreel.store.local_cache import fetch
from nightreel.store.publisher import publish
from tests.support.bundles import lineage
from tests.support.datasets import prepare
from tests.support.explored_bundle import write_explored
from tests.support.settings import settings

USERS = [f"u{n:03d}" for n in range(40)]


def client(usual: Options, **changed: str) -> TestClient:
    """Of an application that ends, and so has written all, when the client is left."""
    return TestClient(build(replace(usual, **changed)), base_url="http://127.0.0.1:8080")  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Of all parts, in the order of their names."""
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().split("\n") if line]


def test_every_served_list_is_logged_under_the_id_that_it_bears(usual: Options, tmp_path: Path) -> None:
    with client(usual, slates=str(tmp_path / "log")) as asked:
        told = [asked.get("/recommend", params={"user": "u001", "k": 3}).json() for _ in range(3)]
        told += [asked.post("/recommend", json={"user": "ü 7", "k": 2, "explore": 0.3}).json() for _ in range(2)]
        told += [asked.post("/recommend", json={"user": "u002", "k": 2}).json() for _ in range(2)]
        for unlogged in ({}, {"history": ["i001"]}, {"user": "u003", "shown": False}):
            assert asked.post("/recommend", json={"k": 2, **unlogged}).status_code == 200
        asked.get("/similar", params={"item": "i001"})
        asked.get("/recommend", params={"k": 2})
        metrics = asked.app.state.metrics  # type: ignore[attr-defined]
    assert len({each["slate_id"] for each in told}) == 7
    assert told[0]["items"] == told[1]["items"], "the second one is a kept answer"
    users = ["u001"] * 3 + ["ü 7"] * 2 + ["u002"] * 2
    assert [{name: row[name] for name in row if name != "timestamp"} for row in rows(tmp_path / "log")] == [
        {"user_id": user, "event": "impression", "slate_id": each["slate_id"], "variant": "live",
         "item_id": item["item_id"], "position": item["rank"], "propensity": item["propensity"]}
        for user, each in zip(users, told, strict=True) for item in each["items"]
    ]  # fmt: skip
    (part,) = (tmp_path / "log").iterdir()
    assert part.stat().st_mode & 0o077 == 0
    text = metrics.registry.get_sample_value
    assert (text("nightreel_slates_logged_total"), text("nightreel_slates_lost_total")) == (7.0, 0.0)


def test_a_list_that_nobody_gets_to_see_is_not_logged(usual: Options, tmp_path: Path) -> None:
    """HEAD has no body, whether its answer is computed or kept; GET shows the same list."""
    with client(usual, slates=str(tmp_path / "log")) as asked:
        told = [asked.head("/recommend", params={"user": "u001", "k": 3}) for _ in range(2)]
        assert [each.status_code for each in told] == [200, 200] and not any(each.content for each in told)
        shown = asked.get("/recommend", params={"user": "u001", "k": 3})
        assert int(told[0].headers["content-length"]) == len(shown.content)
        asked.head("/recommend", params={"user": "u001", "k": 3})
    assert [row["slate_id"] for row in rows(tmp_path / "log")] == [shown.json()["slate_id"]] * 3


def test_a_propensity_that_is_not_known_is_left_out(usual: Options, tmp_path: Path) -> None:
    with client(usual, slates=str(tmp_path / "log")) as asked:
        wish = {"user": "u001", "k": 3, "explore": 0.3, "max_per_genre": 2}
        assert {each["propensity"] for each in asked.post("/recommend", json=wish).json()["items"]} == {None}
    assert all("propensity" not in row for row in rows(tmp_path / "log"))


def test_parts_end_at_their_size_and_what_can_not_be_kept_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_files, "MOST_BYTES", 600)
    monkeypatch.setattr(impression_log, "PAUSE_S", 60.0)  # so that the test says when it is written
    monkeypatch.setattr(impression_log, "MOST_WAITING", 3)
    metrics = Metrics.fresh()
    log = SlateLog(tmp_path / "log", "live", metrics)
    answer = json.dumps(
        {"version": "0" * 64, "slate_id": "1" * 16,
         "items": [{"item_id": f"i{n}", "rank": n + 1, "propensity": 0.5} for n in range(2)]}, separators=(",", ":"),
    ).encode()  # fmt: skip
    for _ in range(3):
        for n in range(4):
            log.served(f"u{n}", answer)
        log._flush()
    assert metrics.registry.get_sample_value("nightreel_slates_lost_total") == 3
    parts = sorted((tmp_path / "log").iterdir())
    assert len(parts) == 3 and len(rows(tmp_path / "log")) == 3 * 3 * 2
    log.served("u9", answer)
    shutil.rmtree(tmp_path / "log")
    log.close()
    assert metrics.registry.get_sample_value("nightreel_slates_lost_total") == 4


def test_the_log_of_a_running_service_values_a_versions_lists(
    usual: Options, store: LocalStore, tmp_path: Path
) -> None:
    """Served lists and feedback go into a source as they are; the night's own code reads them, and finds that the log
    speaks for the whole of what the version would show, which only true propensities make it do."""
    version = fetch(store, resolve(store, "live", None))
    reader, source = Reader.open_bundle(version), tmp_path / "source"
    (source / "events").mkdir(parents=True)
    shutil.copy(version / "items.parquet", source / "items.parquet")
    pq.write_table(watched(reader), source / "events" / "watched.parquet")
    with client(usual, slates=str(source / "events"), feedback=str(source / "events")) as asked:
        # Played once more: a tenth of all positive events, so that the test's window begins here, before any list.
        again = [reader.items.ids[reader.histories[n][0][-1]] for n in range(len(USERS))]
        plays = [{"user_id": u, "item_id": i, "event": "play"} for u, i in zip(USERS, again, strict=True)]
        assert asked.post("/feedback", json={"events": plays}).json()["kept"] == 40
        for turn in range(2):
            for n, user in enumerate(USERS):
                wish = {"user": user, "k": 4, "explore": 0.6, "seed": len(USERS) * turn + n}
                listed = asked.post("/recommend", json=wish).json()
                first = listed["items"][0]["item_id"]
                if turn == 1 and int(first[1:]) % 4 == int(user[1:]) % 4:
                    like = {"user_id": user, "item_id": first, "event": "like", "slate_id": listed["slate_id"]}
                    assert asked.post("/feedback", json={"events": [like]}).json()["kept"] == 1
    run = prepare(tmp_path / "run", source)
    data = load_dataset(run / "data/validate")
    assert set(data.item_ids) == set(reader.items.ids) and sorted(data.user_ids) == USERS
    logs = settings().evaluate.logs.model_copy(update={"effective": 10.0})
    found = off_policy(data, reader, "blend", logs, lambda c: Draws(len(c), 200, np.random.default_rng(0)).totals(c))
    assert found["why"] is None, found
    assert (found["slates"], found["impressions"], found["users"]) == (80, 320, 40)
    assert found["support"]["low"] < 1 < found["support"]["high"] and 0.8 < found["support"]["point"] < 1.2, found
    assert 0 < found["logged"]["point"] < 0.1 and 0 < found["dr"]["point"] < 1, found


@pytest.mark.end_to_end
def test_the_log_of_an_exploring_service_values_lists_with_new_items(usual: Options, tmp_path: Path) -> None:
    """The version explores by itself; requests say nothing of it. Lists of its models alone are supported by its log,
    since each of their places is kept with a known probability."""
    write_explored(tmp_path / "bundle", share=0.4)
    store = LocalStore(tmp_path / "explored")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    reader, source = Reader.open_bundle(tmp_path / "bundle"), tmp_path / "source"
    (source / "events").mkdir(parents=True)
    shutil.copy(reader.facets.path, source / "items.parquet")
    pq.write_table(watched(reader), source / "events" / "watched.parquet")
    with client(usual, store=store.uri, slates=str(source / "events"), feedback=str(source / "events")) as asked:
        again = [reader.items.ids[reader.histories[n][0][-1]] for n in range(len(USERS))]
        plays = [{"user_id": u, "item_id": i, "event": "play"} for u, i in zip(USERS, again, strict=True)]
        assert asked.post("/feedback", json={"events": plays}).json()["kept"] == 40
        for seed in range(10):
            for user in USERS:
                listed = asked.post("/recommend", json={"user": user, "k": 4, "seed": seed}).json()
                if seed == 9 and int(user[1:]) % 4 == 0:
                    like = {"user_id": user, "item_id": listed["items"][0]["item_id"], "event": "like"}
                    assert asked.post("/feedback", json={"events": [like]}).json()["kept"] == 1
    data = load_dataset(prepare(tmp_path / "run", source) / "data/validate")
    chances = data.events["propensity"].drop_null().to_numpy()
    assert len(chances) == 1600 and 0 < chances.min() < 0.2 and chances.max() <= 1
    logs = settings().evaluate.logs.model_copy(update={"effective": 10.0})
    found = off_policy(data, reader, "blend", logs, lambda c: Draws(len(c), 200, np.random.default_rng(0)).totals(c))
    assert found["why"] is None and (found["slates"], found["impressions"]) == (400, 1600), found
    assert found["support"]["low"] < 1 < found["support"]["high"] and 0.9 < found["support"]["point"] < 1.1, found


def watched(reader: Reader) -> pa.Table:
    """The users' histories as plays of the last days."""
    past, now = reader.histories, dt.datetime.now(dt.UTC)
    age = (past.times.max() - past.times) / 86_400 + 1
    return pa.table({
        "user_id": [reader.user_ids[row].as_py() for row in past.rows.tolist()],
        "item_id": [reader.items.ids[item] for item in past.items.tolist()],
        "timestamp": pa.array([now - dt.timedelta(days=days) for days in age.tolist()], pa.timestamp("us", "UTC")),
        "event": ["play"] * len(age),
    })  # fmt: skip


def test_a_night_reads_impressions_once_that_service_and_page_have_told(
    usual: Options, store: LocalStore, tmp_path: Path
) -> None:
    """Also from a page that tells them elsewhere, to a log of its own: half of the rows, and no reason to stop."""
    reader, source = Reader.open_bundle(fetch(store, resolve(store, "live", None))), tmp_path / "source"
    (source / "events").mkdir(parents=True)
    shutil.copy(reader.facets.path, source / "items.parquet")
    pq.write_table(watched(reader), source / "events" / "watched.parquet")
    with client(usual, slates=str(source / "events"), feedback=str(source / "events")) as asked:
        for user in USERS:
            listed = asked.get("/recommend", params={"user": user, "k": 12}).json()
            seen = [{"user_id": user, "item_id": each["item_id"], "event": "impression", "slate_id": listed["slate_id"]}
                    for each in listed["items"]]  # fmt: skip
            assert asked.post("/feedback", json={"events": seen}).json()["repeated"] == 12
            late = dt.datetime.now(dt.UTC).isoformat()
            lines = "".join(json.dumps(each | {"timestamp": late}) + "\n" for each in seen)
            with (source / "events" / "page.jsonl").open("a") as page:
                page.write(lines)
    run = prepare(tmp_path / "run", source)
    impressions = pq.read_table(run / "data/validate/events.parquet", filters=[("event", "=", "impression")])
    assert impressions.num_rows == 12 * len(USERS) and impressions["propensity"].null_count == 0
    found = json.loads((run / "data/validate/report.json").read_text())["tables"]["events"]
    assert found["quarantined"] == 12 * len(USERS) and found["rules"][0]["rule"] == "impression told twice"
