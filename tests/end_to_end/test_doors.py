"""The same run through `nightreel run`, through `dvc repro`, and killed in each stage: one lock, one digest."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nightreel.monitoring import history
from nightreel.orchestration.dvc import pipeline
from nightreel.reader.live_reader import LiveReader
from tests.end_to_end.conftest import Checkout, run
from tests.support import datasets, toy

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def first(checkout: Checkout) -> tuple[Path, dict[str, object]]:
    """A checkout after `nightreel run`, and what the command said."""
    root = checkout("terminal")
    return root, json.loads(run(root, "run", "--json").stdout)


def pointer(root: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((root / ".nightreel" / "store" / "channels" / "live.json").read_text())
    return found


def mlflow_runs(root: Path) -> set[tuple[str, str, str]]:
    """(name, status, recipe) of every run."""
    query = """select r.name, r.status, t.value from runs r
               join tags t on t.run_uuid = r.run_uuid and t.key = 'nightreel.recipe'"""
    with sqlite3.connect(root / ".nightreel" / "mlflow" / "mlflow.db") as database:
        return set(database.execute(query))


def test_the_terminal_tells_what_came_of_it(first: tuple[Path, dict[str, object]], source: datasets.Planted) -> None:
    root, told = first
    assert told["decision"] == "promote" and told["digest"] == pointer(root)["version"]
    counts = {row["table"]: row for row in told["rows"]}  # type: ignore[attr-defined]
    assert counts["events"]["in"] == len(source.rows)
    for row in counts.values():
        assert row["in"] == row["clean"] + row["quarantined"] + row["erased"]
    metrics = {row["model"]: row for row in told["metrics"]}  # type: ignore[attr-defined]
    assert {"blend", "popularity"} <= set(metrics) and 0 < metrics["blend"]["ndcg@10"] <= 1
    sample = told["sample"]
    assert isinstance(sample, dict) and len(sample["recommendations"]) == 10
    assert [row["rank"] for row in sample["recommendations"]] == list(range(1, 11))
    assert all(row["title"] for row in sample["recommendations"]) and sample["history"]


def test_again_at_once_changes_nothing(first: tuple[Path, dict[str, object]]) -> None:
    root, told = first
    lock, before = (root / "dvc.lock").read_bytes(), pointer(root)
    again = json.loads(run(root, "run", "--json").stdout)
    assert (root / "dvc.lock").read_bytes() == lock and pointer(root) == before
    assert again["digest"] == told["digest"]
    outside = {stage.name for stage in pipeline.read(root) if stage.outside}
    assert {name for name, s in again["stages"].items() if s["outcome"] != "unchanged"} == outside
    names = {line.split()[-1] for line in toy.call(root, "git", "status", "--porcelain").splitlines()}
    assert all(name in ("dvc.lock", "metrics/") or name.startswith("metrics/") for name in names), names


def test_dvc_alone_gives_the_same(first: tuple[Path, dict[str, object]], checkout: Checkout) -> None:
    root, _ = first
    other = checkout("dvc")
    toy.call(other, "python", "-m", "dvc", "repro")
    assert (other / "dvc.lock").read_bytes() == (root / "dvc.lock").read_bytes()
    # The fence names the run that moved the channel, and the checksum covers it; dvc alone holds no run's lock.
    apart = {"fence": None, "sha256": None}
    assert pointer(other) | apart == pointer(root) | apart
    assert mlflow_runs(other) == mlflow_runs(root) and len(mlflow_runs(root)) >= len(pipeline.read(root)) - 1
    (alone,), (*_, flow) = history.nights(other / ".nightreel"), history.nights(root / ".nightreel")
    assert (alone.trigger, flow.trigger) == ("dvc repro", "terminal")
    same = ("outcome", "version", "reason", "quality", "rows", "source", "data_until", "recipe")
    assert {name: getattr(alone, name) for name in same} == {name: getattr(flow, name) for name in same}
    assert {each.stage for each in alone.stages if each.how == "ran"} >= {each.stage for each in flow.stages} - {
        "record"
    }


def test_a_version_is_made_again_byte_for_byte_unless_somebody_in_it_was_erased(
    first: tuple[Path, dict[str, object]], source: datasets.Planted, tmp_path: Path
) -> None:
    root, told = first
    before = toy.call(root, "git", "status", "--porcelain")
    made = json.loads(run(root, "reproduce", "--json").stdout)
    assert made == {"version": told["digest"], "made": told["digest"], "same": True, "differs_at": None, "out": None}
    assert toy.call(root, "git", "status", "--porcelain") == before
    assert len(toy.call(root, "git", "worktree", "list").splitlines()) == 1
    lineage = json.loads(run(root, "lineage", "--json").stdout)
    assert lineage["channels"] == ["live"] and lineage["night"]["flow_run"] and lineage["night"]["source"]
    store = shutil.copytree(root / ".nightreel" / "store", tmp_path / "store")
    (tmp_path / "gone.csv").write_text(f"user_id\n{source.user_ids[0]}\n")
    run(root, "withdraw", str(tmp_path / "gone.csv"), "--store", str(store))
    refused = toy.nightreel(root, "reproduce", "--store", str(store))
    assert refused.returncode == 1 and "1 of the users in its data were erased since" in refused.stderr


def test_other_data_leaves_the_checkout_as_it_is(first: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    root, told = first
    before = toy.call(root, "git", "status", "--porcelain"), (root / "dvc.lock").read_bytes(), pointer(root)
    other = datasets.write_dataset(tmp_path / "other", users=60, items=50, events=1200, seed=5)
    words = [
        "--data",
        str(tmp_path / "other"),
        "--set",
        "publish.dry_run=true",
        "--set",
        "finetune.members=[popularity, ease]",
    ]
    found = json.loads(run(root, "run", "--json", *words).stdout)
    assert found["digest"] != told["digest"] and not found["published"].startswith("live")
    counts = {row["table"]: row["in"] for row in found["rows"]}
    assert counts["events"] == len(other.rows) and counts["items"] == len(other.item_ids)
    assert {row["model"] for row in found["metrics"]} == {"blend", "popularity", "ease"}
    assert (toy.call(root, "git", "status", "--porcelain"), (root / "dvc.lock").read_bytes(), pointer(root)) == before


def test_a_worse_challenger_is_held_back_while_readers_go_on(first: tuple[Path, dict[str, object]]) -> None:
    root, told = first
    store, before = str(root / ".nightreel" / "store"), pointer(root)
    live = LiveReader(store, start=False)
    user = str(live.reader.user_ids[0])
    answered = json.loads(run(root, "recommend", user, "--json").stdout)
    # A blend of one member and a single stump: it is worse by far, and surely so even for few users.
    weak = ("finetune.members=[popularity]", "finetune.trees.num_trees=[1]", "finetune.trees.num_leaves=2")
    found = json.loads(run(root, "run", "--json", *(word for each in weak for word in ("--set", each))).stdout)
    assert found["decision"] == "reject" and "(worse)" in found["sentence"], found["sentence"]
    assert "rule (a)" in found["sentence"] and found["published"].startswith("nothing published")
    assert "Reject: worse" in Path(json.loads(run(root, "report", "--json").stdout)["report"]).read_text("utf-8")
    assert pointer(root) == before
    assert not live.refresh() and live.reader.digest == told["digest"]
    assert json.loads(run(root, "recommend", user, "--json").stdout) == answered


def test_killed_in_each_stage_it_ends_with_the_same_bytes(
    first: tuple[Path, dict[str, object]], checkout: Checkout
) -> None:
    root, told = first
    victim = checkout("victim")
    for stage in pipeline.read(victim):
        kill_in(victim, stage.name)
    done = run(victim, "run", "--json")
    assert "was Running, but its process is gone: set to Crashed" in " ".join(done.stderr.split())  # the one before
    found = json.loads(done.stdout)
    assert found["digest"] == told["digest"]
    assert (victim / "dvc.lock").read_bytes() == (root / "dvc.lock").read_bytes()
    assert pointer(victim)["version"] == told["digest"]


def kill_in(root: Path, stage: str) -> None:
    """Start a run and kill the whole of it with -9 a moment after the stage's process began."""
    command = [sys.executable, "-c", "from nightreel.cli.main import main; main()", "run"]
    process = subprocess.Popen(command, cwd=root, env=toy.environment(), stdout=subprocess.DEVNULL)
    try:
        family = wait_for(psutil.Process(process.pid), f"tasks.{stage}")
        time.sleep(0.7)
        for member in [*family, psutil.Process(process.pid)]:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
    finally:
        process.kill()
        process.wait()


def wait_for(parent: psutil.Process, module: str, seconds: float = 240.0) -> list[psutil.Process]:
    """All descendants, once one of them runs the module."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        family = parent.children(recursive=True)
        for member in family:
            try:
                if member.cmdline()[-2:] == ["-m", module]:
                    return family
            except psutil.Error:
                continue
        assert parent.status() != psutil.STATUS_ZOMBIE, f"the run ended before {module}"
        time.sleep(0.02)
    raise AssertionError(f"{module} did not start")
