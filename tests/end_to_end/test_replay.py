"""Three nights of a small log, published into a channel of their own: killed in the second one and taken up again; the
third one fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.end_to_end.conftest import Checkout, wait_for_file
from tests.support import datasets, toy
from tests.support.bundles import lineage, write_bundle

pytestmark = pytest.mark.end_to_end
NIGHTS = ("2024-02-03", "2024-02-10", "2024-02-17")
BAD = datetime.fromisoformat("2024-02-12T08:00:00+00:00")  # before the third night


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> datasets.Planted:
    """Seven weeks, with one event after the second night that no contract permits."""
    planted = datasets.write_dataset(
        tmp_path_factory.mktemp("log"), users=80, items=60, events=1600, days=54, repeats=False
    )
    path = planted.folder / "events.parquet"
    events = pq.read_table(path)
    bad = {"user_id": "u001", "item_id": "i001", "timestamp": BAD, "event": "yodel", "value": None}
    pq.write_table(pa.concat_tables([events, pa.Table.from_pylist([bad], events.schema)]), path)
    return planted


def command(log: datasets.Planted, folder: Path) -> list[str]:
    """Members that are fitted in no time, and no bad row that is let pass."""
    return [
        sys.executable, "-c", "from nightreel.cli.main import main; main()", "replay", str(log.folder), "--nights", "3",
        "--step", "7d", "--from", NIGHTS[0], "--state", str(folder), "--publish", "past", "--json",
        "--first-recipe", "--held-candidates",
        "--set", "finetune.members=[popularity, ease]", "--set", "validate.quarantine_share=0.0",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """The store that is served, with another version in its channel live."""
    folder = tmp_path_factory.mktemp("served")
    store = LocalStore(folder / "store")
    write_bundle(folder / "bundle")
    publish(store, folder / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return store


def environment(store: LocalStore) -> dict[str, str]:
    return toy.environment() | {"NIGHTREEL_STORE": store.uri}


@pytest.fixture(scope="module")
def replayed(
    checkout: Checkout, log: datasets.Planted, store: LocalStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path, dict[str, Any], float]]:
    """The checkout, the replay's folder, what the command said, and when the first night had been finished."""
    root, folder = checkout("replay"), tmp_path_factory.mktemp("replay") / "kept"
    words = command(log, folder)
    process = subprocess.Popen(words, cwd=root, env=environment(store), start_new_session=True)
    first = folder / "nights" / NIGHTS[0] / "row.json"
    try:
        wait_for_file(folder / "nights" / NIGHTS[1] / "log.txt", process)
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=60)  # guards end what the command had started
    finally:
        process.kill()
        process.wait()
    finished = first.stat().st_mtime
    done = subprocess.run(words, cwd=root, env=environment(store), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # a night failed
    yield root, folder, json.loads(done.stdout), finished


def test_each_night_learns_what_lies_before_it_and_is_judged_by_what_comes_after(
    replayed: tuple[Path, Path, dict[str, Any], float], log: datasets.Planted
) -> None:
    _, folder, told, _ = replayed
    rows = told["nights"]
    assert [row["night"] for row in rows] == [f"{night}T00:00:00Z" for night in NIGHTS]
    for row in rows:
        begin, end = (datetime.fromisoformat(row[name]).timestamp() for name in ("night", "until"))
        bad = 1 if begin > BAD.timestamp() else 0
        assert row["events"] == bad + sum(at < begin for _, _, at in log.rows)
        met = {(user, item) for user, item, at in log.rows if at < begin}
        new = {(user, item) for user, item, at in log.rows if begin <= at < end} - met
        users = {user for user, _ in new}
        assert row["users"] == len(users) > 5
        assert row["newcomers"] == len(users - {user for user, _ in met})
        assert 0 < row["popularity"] <= 1 and 0 < row["ease_popularity"] <= 1 and 0 < row["nightreel"] <= 1
    judged = pq.read_table(folder / "judged.parquet")
    assert judged.num_rows == sum(row["users"] for row in rows)
    assert not set(judged["user_id"].to_pylist()) & set(log.user_ids), "pseudonyms"
    reach = pq.read_table(folder / "item_reach.parquet")
    assert pc.sum(reach["wanted"]).as_py() == pc.sum(judged["wanted"]).as_py()
    assert set(reach["step"].to_pylist()) == {row["night"] for row in rows}
    known = {item for _, item, at in log.rows if at < datetime.fromisoformat(rows[0]["night"]).timestamp()}
    assert {row["item_id"] for row in reach.to_pylist() if not row["new"]} <= known
    assert (
        sum(point["wanted"] for point in told["overall"]["new_items"])
        == pc.sum(reach.filter(reach["new"])["wanted"]).as_py()
    )
    nights = pq.read_table(folder / "nights.parquet").to_pylist()
    assert [row["version"] for row in nights] == [row["version"] for row in rows]
    assert [row["nightreel"] for row in nights] == [row["nightreel"] for row in rows]
    overall = told["overall"]
    assert overall["nights"] == 3 and overall["rows"] == judged.num_rows
    assert overall["means"]["nightreel"]["point"] == pytest.approx(sum(row["nightreel"] for row in rows) / 3)
    for name in ("popularity", "ease_popularity"):
        gap = overall["differences"][name]
        assert gap["low"] < gap["point"] < gap["high"]


def test_a_night_that_fails_is_a_row_and_is_judged_by_what_is_still_served(
    replayed: tuple[Path, Path, dict[str, Any], float], store: LocalStore
) -> None:
    _, folder, told, _ = replayed
    first, second, third = told["nights"]
    assert first["decision"] == "promote" and first["label"] == "baseline" and first["since"] == first["night"]
    assert first["error"] is None and second["error"] is None
    assert third["decision"] == "failed" and "quarantined" in third["error"] and not third["published"]
    assert third["version"] == second["version"] and third["since"] == second["since"]
    assert "yodel" in third["error"] or "events" in third["error"]
    past = channels.live(store, "past")
    assert past is not None and past.digest == third["version"] and not (folder / "state" / "store").exists()


def test_the_first_recipe_is_trained_only_where_the_night_published_another_one(
    replayed: tuple[Path, Path, dict[str, Any], float],
) -> None:
    _, folder, told, _ = replayed
    first, second, third = told["nights"]
    said = [(folder / "nights" / night / "log.txt").read_text("utf-8") for night in NIGHTS]
    assert "is what the night published: nothing to train" in said[0] and first["first_recipe"] == first["nightreel"]
    chosen = (folder / "alternatives" / "first_choices" / "choices.json").read_text("utf-8")
    assert json.loads(chosen)["members"].keys() == {"popularity", "ease"}
    same = "is what the night published" in said[1].rpartition("publish ")[2]
    assert same == (second["first_recipe"] == second["nightreel"])
    # The third night failed, so both are judged as they were trained the night before.
    assert "first recipe" not in said[2] and third["first_recipe"] is not None
    gap = told["overall"]["differences"]["first_recipe"]
    assert gap["low"] <= gap["point"] <= gap["high"]
    assert all((row["held_candidate"] is None) == (row["decision"] in ("promote", "failed")) for row in told["nights"])


def test_killed_it_goes_on_with_the_next_unfinished_night(
    replayed: tuple[Path, Path, dict[str, Any], float], log: datasets.Planted, store: LocalStore
) -> None:
    root, folder, told, finished = replayed
    assert (folder / "nights" / NIGHTS[0] / "row.json").stat().st_mtime == finished
    began = time.monotonic()
    again = subprocess.run(
        command(log, folder), cwd=root, env=environment(store), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1 and json.loads(again.stdout)["nights"] == told["nights"]
    assert time.monotonic() - began < 300
    other = subprocess.run(
        [*command(log, folder), "--set", "finetune.seed=7"], cwd=root, env=environment(store), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert other.returncode == 1 and "holds a replay with another settings" in other.stderr


def test_neither_the_checkout_nor_the_live_channel_is_written(
    replayed: tuple[Path, Path, dict[str, Any], float], store: LocalStore
) -> None:
    root, _, told, _ = replayed
    live = channels.live(store, "live")
    assert live is not None and live.generation == 1 and live.digest not in {row["version"] for row in told["nights"]}
    assert toy.call(root, "git", "status", "--porcelain") == ""
    assert not (root / "dvc.lock").exists() and not (root / ".dvc" / "cache").exists()
    assert [path.name for path in (root / ".nightreel").iterdir()] == ["pseudonym.key"]
