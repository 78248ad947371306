"""`nightreel up`: its services, a run as the UI starts it, its pages at 1,280 px, and its end."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.prefect import credentials
from tests.end_to_end import foreign_page
from tests.end_to_end.conftest import Checkout
from tests.end_to_end.started_up import Up, started
from tests.support import toy

pytestmark = pytest.mark.end_to_end
AT_ONCE_S = 15.0  # 3 s on a quiet machine, of which 2 are the worker's pause between two questions
CHANGED = {
    "finetune": {"members": ["popularity", "ease"]},
    "run": {"k": 5, "settings": ["evaluate.margin=0.05"]},
}


@pytest.fixture(scope="module")
def up(checkout: Checkout) -> Iterator[Up]:
    with started(checkout("up")) as made:
        yield made


@pytest.fixture(scope="module")
def deployment(up: Up) -> dict[str, Any]:
    found: dict[str, Any] = up.api("GET", f"/deployments/name/{up.addresses['deployment']}")
    return found


@pytest.fixture(scope="module")
def night(up: Up, deployment: dict[str, Any]) -> dict[str, Any]:
    """A scheduled run: a time is added to the deployment, as in its page, and then nobody touches anything."""
    # By interval: a clock time would be over, and its night a year away, where a busy server plans it too late.
    at = datetime.now(UTC) + timedelta(seconds=30)
    schedule = {"interval": 300, "anchor_date": at.isoformat(), "timezone": "UTC"}
    few = {"finetune": {"members": ["popularity", "ease"]}}
    path = f"/deployments/{deployment['id']}/schedules"
    (made,) = up.api("POST", path, [{"schedule": schedule, "parameters": few}])
    deadline = time.monotonic() + 660
    begun = {"flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}}}
    while not (found := up.api("POST", "/flow_runs/filter", begun)):
        assert time.monotonic() < deadline, "no scheduled run has begun"
        time.sleep(1)
    up.api("DELETE", f"{path}/{made['id']}")
    return up.finished(found[0]["id"])


@pytest.fixture(scope="module")
def ran(up: Up, deployment: dict[str, Any], night: dict[str, Any]) -> dict[str, Any]:
    """A finished run, started as the UI starts one, with changed parameters."""
    made = up.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": CHANGED})
    return up.finished(made["id"])


def test_a_night_comes_by_itself_and_publishes(up: Up, night: dict[str, Any]) -> None:
    assert night["state_type"] == "COMPLETED" and night["auto_scheduled"], night["state"]
    (version,) = json.loads(up.nightreel("versions", "--json"))["versions"]
    assert version["channels"] == ["live"]


def test_the_night_stands_in_the_history_and_the_status_knows_the_next(up: Up, night: dict[str, Any]) -> None:
    status = json.loads(up.nightreel("status", "--json"))
    (last, *_) = status["nights"]
    assert (last["trigger"], last["outcome"], last["flow_run"]) == ("schedule", "promoted", night["id"])
    assert last["version"] == status["live"]["version"] and status["live"]["age_hours"] < 1
    assert {stage["stage"] for stage in last["stages"]} >= {"snapshot", "finetune", "publish", "record"}
    assert status["next_night"]["at"] and not status["next_night"]["paused"]
    assert status["well"] and status["alerts"] == []


def test_after_a_minute_no_log_holds_an_error(up: Up, night: dict[str, Any]) -> None:
    logs = [*Path(up.addresses["logs"]).glob("*.log")]
    assert {log.stem for log in logs} >= {"prefect", "worker", "mlflow", "watch"}  # and what the night itself wrote
    time.sleep(max(0.0, 60 - (time.time() - psutil.Process(up.process.pid).create_time())))
    assert {log.name: errors(log.read_text("utf-8", "replace")) for log in logs} == {log.name: [] for log in logs}


def errors(log: str) -> list[str]:
    """Messages of a log that tell of an error, each with its traceback. Prefect does again what failed because SQLite's
    file was in use for a moment, which is no fault."""
    stamp = r"\d{4}/\d\d/\d\d [\d:]+ "
    began = re.compile(rf"^(?=\d\d:\d\d:\d\d\.\d+ \| |{stamp}|[IWEF]\d{{4}} )", re.M)
    faulty = re.compile(
        rf"^[\d:.]+ \| (ERROR|CRITICAL) |^{stamp}(ERROR|CRITICAL)\b|^[EF]\d{{4}} |^error: |Traceback \(most", re.M
    )
    return [each for each in began.split(log) if faulty.search(each) and "database is locked" not in each]


def test_errors_are_found_in_every_kind_of_log() -> None:
    lines = [
        "08:37:49.023 | INFO    | prefect.flow_runs - ERROR is a word here",
        "08:37:49.023 | ERROR   | prefect.server.services.scheduler - failed\nTraceback (most recent call last):\n  x",
        "2026/11/30 08:23:14 ERROR:     in MLflow",
        "E1130 08:22:02.668345 master.go:400 of SeaweedFS",
        "08:38:52.379 | ERROR   | prefect.server - once more\nsqlite3.OperationalError: database is locked",
        "I1130 08:22:02.668345 master.go:400 fine",
    ]
    assert [lines.index(each.strip()) for each in errors("\n".join(lines))] == [1, 2, 3]
    assert len(errors("Traceback (most recent call last):\n  x\n" + lines[0])) == 1


def test_a_schedule_with_a_time_zone_and_one_run_at_a_time(deployment: dict[str, Any]) -> None:
    (schedule,) = deployment["schedules"]
    assert schedule["active"] and schedule["schedule"]["cron"] and schedule["schedule"]["timezone"]
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"


def test_a_value_out_of_bounds_is_refused_at_once(up: Up, deployment: dict[str, Any]) -> None:
    unknown: tuple[Any, ...] = ({"finetune": {"sed": 1}}, {"sed": 1}, {"run": {"settings": ["finetune.sed=1"]}})
    for parameters in ({"finetune": {"seed": -1}}, {"run": {"force": ["nothing"]}}, *unknown):
        answer = up.asked("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        assert answer.status_code == 409 and "Validation failed" in answer.text


def test_a_run_as_the_ui_starts_it(up: Up, ran: dict[str, Any]) -> None:
    assert ran["state_type"] == "COMPLETED", ran["state"]
    assert toy.call(up.root, "git", "status", "--porcelain") == ""
    found = up.api("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [ran["id"]]}}})
    assert {each["name"] for each in found} == {stage.name for stage in pipeline.read(up.root)}
    artifacts = {each["key"]: each for each in up.api("POST", "/artifacts/filter", of(ran))}
    assert set(artifacts) == {"progress", "metrics", "summary"} and artifacts["progress"]["data"] == 100.0
    models = {row["model"] for row in json.loads(artifacts["metrics"]["data"])}
    assert models >= {"blend", "popularity", "ease"}
    assert artifacts["summary"]["data"].count("\n| ") > 5


def of(run: dict[str, Any]) -> dict[str, Any]:
    return {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}


def test_mlflow_answers(up: Up, ran: dict[str, Any]) -> None:
    assert httpx.get(up.addresses["mlflow"] + "/health").status_code == 200


@pytest.mark.browser
def test_the_pages_show_every_stage_and_field(
    up: Up, ran: dict[str, Any], deployment: dict[str, Any], tmp_path: Path
) -> None:
    """NIGHTREEL_SHOTS=folder keeps the pictures."""
    from playwright.sync_api import sync_playwright

    shots = Path(os.environ.get("NIGHTREEL_SHOTS", tmp_path))

    fields = [
        field["title"]
        for box in deployment["parameter_openapi_schema"]["definitions"].values()
        for field in box["properties"].values()
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=foreign_page.chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 3000})
        # As the page's own login does; `/` would choose the other of Prefect's two user interfaces.
        page.add_init_script(f"localStorage.setItem('prefect-password', btoa({json.dumps(up.login)}))")
        page.goto(f"{up.addresses['prefect']}/deployments/deployment/{deployment['id']}/run")
        boxes = []
        for title in fields:
            label = page.get_by_text(f"{title} (Optional)", exact=True).first
            label.wait_for(timeout=60_000)
            box = label.bounding_box()
            assert box is not None and box["x"] + box["width"] <= 1280
            boxes.append((box["y"], box["y"] + box["height"]))
        boxes.sort()
        assert all(above[1] <= below[0] for above, below in itertools.pairwise(boxes))
        page.screenshot(path=shots / "form.png")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{up.addresses['prefect']}/runs/flow-run/{ran['id']}")
        page.wait_for_timeout(3000)
        page.screenshot(path=shots / "graph.png")
        page.get_by_text("Task Runs", exact=True).click()
        for stage in pipeline.read(up.root):
            page.get_by_text(stage.name, exact=True).first.wait_for(timeout=60_000)
        for artifact in up.api("POST", "/artifacts/filter", of(ran)):
            page.goto(f"{up.addresses['prefect']}/artifacts/artifact/{artifact['id']}")
            shown = {"summary": "Stages", "metrics": "popularity", "progress": "progress"}[artifact["key"]]
            page.get_by_text(shown, exact=True).first.wait_for(timeout=60_000)
            page.wait_for_timeout(1500)
            page.screenshot(path=shots / f"{artifact['key']}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.goto(f"{up.addresses['prefect']}/v2/deployments")  # the interface that the bare address opens
        page.get_by_text("nightly", exact=True).first.wait_for(timeout=60_000)
        browser.close()


@pytest.mark.browser
def test_a_page_of_another_origin_moves_nothing(up: Up, deployment: dict[str, Any], tmp_path: Path) -> None:
    before, mark = up.api("POST", "/flow_runs/filter", {}), tmp_path / "ran"
    run = json.dumps({"job_variables": {"command": f"touch {mark}"}, "state": {"type": "SCHEDULED"}})
    api = f"{up.addresses['prefect_api']}/deployments/{deployment['id']}"
    said = foreign_page.attempt(
        [
            *(("POST", f"{api}/create_flow_run", kind, run) for kind in ("text/plain", "application/json", "")),
            ("POST", f"{api.replace('127.0.0.1', foreign_page.ORIGIN)}/create_flow_run", "text/plain", run),
            ("DELETE", api, "", ""),
            (
                "POST",
                f"{up.addresses['mlflow']}/api/2.0/mlflow/experiments/create",
                "text/plain",
                '{"name": "foreign"}',
            ),
        ]
    )
    assert len(said) == 12 and not [each for each in said if each[2] in (200, 201, 204)], said
    time.sleep(5)  # the worker looks for runs every two seconds
    known = {each["id"] for each in before}
    after = up.api("POST", "/flow_runs/filter", {})
    assert not [each for each in after if each["id"] not in known and not each["auto_scheduled"]]
    assert not mark.exists() and up.api("GET", f"/deployments/{deployment['id']}")["id"] == deployment["id"]
    found = httpx.post(f"{up.addresses['mlflow']}/api/2.0/mlflow/experiments/search", json={"max_results": 100})
    assert "foreign" not in {each["name"] for each in found.json().get("experiments", [])}


def test_the_password_stands_in_no_log(up: Up) -> None:
    password, state = up.login.partition(":")[2], up.root / ".nightreel"
    logs = [*(state / "logs").glob("*.log"), state / "up.json"]
    assert len(logs) > 4 and not [log for log in logs if password in log.read_text("utf-8", "replace")]
    told = json.loads(toy.nightreel(up.root, "env", "--json").stdout)
    assert told[credentials.CLIENT] == up.login and told["PREFECT_API_URL"] == up.addresses["prefect_api"]
    for process in psutil.Process(up.process.pid).children(recursive=True):
        assert password not in " ".join(process.cmdline())


def test_a_second_one_is_refused(up: Up) -> None:
    done = toy.nightreel(up.root, "up")
    assert done.returncode == 1 and "is already in progress" in done.stderr and "Traceback" not in done.stderr


def test_cancelling_stops_the_stage_at_once_and_for_good(up: Up, deployment: dict[str, Any]) -> None:
    parameters = {"run": {"force": ["finetune"]}}
    made = up.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    stage = running(psutil.Process(up.process.pid), "tasks.finetune")
    began = time.monotonic()
    up.api("POST", f"/flow_runs/{made['id']}/set_state", {"state": {"type": "CANCELLING"}})
    stage.wait(timeout=60)
    assert time.monotonic() - began < AT_ONCE_S
    assert up.finished(made["id"])["state_type"] == "CANCELLED"
    found = up.api("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [made["id"]]}}})
    assert max(each["run_count"] for each in found) == 1


def running(parent: psutil.Process, module: str, seconds: float = 600.0) -> psutil.Process:
    """The descendant that runs the module, as soon as there is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for member in parent.children(recursive=True):
            try:
                if member.cmdline()[-2:] == ["-m", module]:
                    return member
            except psutil.Error:
                continue
        time.sleep(0.05)
    raise AssertionError(f"{module} did not start")


def test_ctrl_c_leaves_nothing_running(up: Up, deployment: dict[str, Any]) -> None:
    """Last: it ends the module's `up`, in the middle of a run."""
    up.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"run": {"force": ["finetune"]}}})
    running(psutil.Process(up.process.pid), "tasks.finetune")
    family = psutil.Process(up.process.pid).children(recursive=True)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=120) == 0
    _, left = psutil.wait_procs(family, timeout=30)
    assert not [each.cmdline() for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not (up.root / ".nightreel" / "up.json").exists()
