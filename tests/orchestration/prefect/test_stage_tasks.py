"""A night in Prefect: order, edges, retries, failures, time limits. Real DVC, real Prefect."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.context import get_run_context

from benchmarks.prefect_client import logged_in
from nightreel.cli.terminal_view import TerminalView
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment, StageFailed
from nightreel.orchestration.prefect import stage_tasks
from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request
from nightreel.orchestration.project import Project
from tests.conftest import PREFECT
from tests.orchestration.test_child_process import gone

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("prefect_api")]


class Listener:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def begin(self, stage: str) -> None:
        self.heard.append((stage, "begin"))

    def line(self, stage: str, text: str) -> None:
        self.heard.append((stage, text))

    def end(self, outcome: Outcome) -> None:
        self.heard.append((outcome.stage, outcome.how))


def run(
    root: Path, request: Request | None = None, *, first: int = 5, **variables: str
) -> tuple[list[Outcome], Listener, str]:
    """Outcomes of the first stages, what was heard, and the flow run's id (also in `run.last`, for a night that fails)."""
    listener, state = Listener(), root / ".nightreel"
    state.mkdir(exist_ok=True)
    place = StageEnvironment(root, Project(root, state).environment(variables))

    @flow(name="nightly", persist_result=False)
    def nightly() -> list[Outcome]:
        run.last = str(get_run_context().flow_run.id)  # type: ignore[attr-defined]
        return NightlyRun(pipeline.read(root)[:first], place, request or Request(), listener).run()

    return nightly(), listener, run.last  # type: ignore[attr-defined]


def tasks_of(api: str, flow_run: str) -> dict[str, dict[str, Any]]:
    body = {"flow_runs": {"id": {"any_": [flow_run]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return {each["name"]: each for each in logged_in(api, PREFECT).post("/task_runs/filter", json=body).json()}


def test_every_stage_is_a_task_with_its_edges(toy: Path, prefect_api: str) -> None:
    outcomes, listener, flow_run = run(toy)
    names = ["fetch", "learn", "score", "send", "note"]
    assert [(o.stage, o.how) for o in outcomes] == [(name, "ran") for name in names]
    assert [entry for entry in listener.heard if entry[1] == "begin"] == [(name, "begin") for name in names]
    assert ("learn", "learn begins") in listener.heard
    found = tasks_of(prefect_api, flow_run)
    assert set(found) == set(names)
    for stage in pipeline.read(toy):
        inputs = [each["id"] for each in found[stage.name]["task_inputs"].get("wait_for", [])]
        assert inputs == [found[name]["id"] for name in stage.upstream]
    lock = (toy / "dvc.lock").read_bytes()

    outcomes, _, flow_run = run(toy, Request(force=frozenset({"score"})))
    assert [o.how for o in outcomes] == ["ran", "unchanged", "ran", "ran", "ran"]
    assert tasks_of(prefect_api, flow_run)["learn"]["state_name"] == "Unchanged"
    assert (toy / "dvc.lock").read_bytes() == lock


def test_a_temporary_fault_of_an_outside_stage_is_tried_again(
    toy: Path, tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_tasks, "RETRIES_S", (0.1, 0.1))
    marks = tmp_path / "marks"
    outcomes, _, flow_run = run(toy, first=1, TOY_FLAKY=f"fetch:{marks}")
    assert outcomes[0].how == "ran" and marks.read_text() == "xx"
    assert tasks_of(prefect_api, flow_run)["fetch"]["run_count"] == 2


def test_compute_is_never_tried_again(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_tasks, "RETRIES_S", (0.1, 0.1))
    marks = tmp_path / "marks"
    with pytest.raises(StageFailed, match="did not answer"):
        run(toy, first=2, TOY_FLAKY=f"learn:{marks}")
    assert marks.read_text() == "x"


def test_a_users_mistake_is_not_tried_again_and_the_last_stage_is_told(toy: Path, prefect_api: str) -> None:
    with pytest.raises(StageFailed, match=r"score: source.txt: line 3 is empty"):
        run(toy, TOY_FAULT="score")
    found = tasks_of(prefect_api, run.last)  # type: ignore[attr-defined]
    states = {name: each["state_type"] for name, each in found.items()}
    assert states == {"fetch": "COMPLETED", "learn": "COMPLETED", "score": "FAILED", "note": "COMPLETED"}
    told = json.loads((toy / ".nightreel" / "failed.json").read_text())
    assert told[:2] == ["--failed", "score"] and "line 3 is empty" in told[3]


def test_a_part_of_the_stages_runs_and_its_failure_is_no_night_to_record(toy: Path) -> None:
    outcomes, listener, _ = run(toy, Request(only=frozenset({"fetch", "learn"})))
    assert [outcome.stage for outcome in outcomes] == ["fetch", "learn"]
    assert {name for name, _ in listener.heard} == {"fetch", "learn"} and not (toy / "data" / "note").exists()
    with pytest.raises(StageFailed, match="line 3 is empty"):
        run(toy, Request(only=frozenset({"fetch"})), TOY_FAULT="fetch")
    assert not (toy / ".nightreel" / "failed.json").exists()


def test_a_stage_over_its_time_is_stopped(toy: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(StageFailed, match="fetch"):
        run(toy, Request(minutes=0.05), first=1, TOY_SLOW="fetch", TOY_PID=str(pid))
    assert gone(int(pid.read_text()))


def test_the_screen_is_a_watcher() -> None:
    watcher: stage_tasks.Watcher = TerminalView.__new__(TerminalView)
    assert watcher is not None
