"""prefect.yaml on a real server: from nothing, again after a person changed something, and after the file changed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.prefect_client import logged_in
from nightreel.orchestration.prefect import credentials, deployment
from nightreel.orchestration.project import Project
from tests.conftest import PREFECT
from tests.support import toy as project

pytestmark = pytest.mark.end_to_end
OTHERS = ("evaluate", "publish", "replay", "backfill", "withdraw", "rollback", "collect-garbage")


class Page:
    """What Prefect's page asks its server."""

    def __init__(self, api: str) -> None:
        self.client = logged_in(api, PREFECT)

    def deployment(self, name: str = "nightly") -> dict[str, Any]:
        return dict(self.client.get(f"/deployments/name/{name}/{name}").raise_for_status().json())

    def schedule(self) -> tuple[str, bool]:
        """The only one: when, and whether it is on."""
        (found,) = self.deployment()["schedules"]
        return found["schedule"]["cron"], found["active"]

    def change(self, cron: str, active: bool, name: str = "nightly", timezone: str = "UTC") -> None:
        found = self.deployment(name)
        body = {"active": active, "schedule": {"cron": cron, "timezone": timezone}}
        path = f"/deployments/{found['id']}/schedules/{found['schedules'][0]['id']}"
        self.client.patch(path, json=body).raise_for_status()

    def submit(self, parameters: dict[str, Any]) -> httpx.Response:
        path = f"/deployments/{self.deployment()['id']}/create_flow_run"
        for _ in range(10):  # a busy server says 503 while its database is locked, and Prefect's own client asks again
            answer = self.client.post(path, json={"parameters": parameters})
            if answer.status_code != 503:
                break
            time.sleep(1)
        return answer


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_from_a_fresh_server_to_a_changed_file(toy: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One story, since each deployment takes seconds."""
    page, home = Page(prefect_api), Project(toy, toy / ".nightreel")

    # As README says, on a server that has no work pool; the words of a user who has nothing else.
    done = subprocess.run(
        [str(Path(sys.executable).with_name("prefect")), "deploy", "--all"],
        cwd=toy, env=project.environment() | {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(toy / "ph")} | credentials.of_client(PREFECT),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert page.schedule() == ("0 3 * * *", True)

    # `up` over a deployment that it does not know yet: nothing to tell, and the form refuses what is unknown.
    assert deployment.deploy(home) == []
    answer = page.submit({"nothing": 1})
    assert answer.status_code == 409 and "'nothing' was unexpected" in answer.text
    assert page.submit({"run": {"k": 5}, "finetune": {"seed": 3}}).status_code == 201

    # So does every other form, and each deployment says what it is for.
    for name in OTHERS:
        found = page.deployment(name)
        assert found["description"] and found["tags"] and not any(each["active"] for each in found["schedules"])
        assert found["parameter_openapi_schema"]["additionalProperties"] is False and found["enforce_parameter_schema"]

    # A person turns the schedule off and moves it: it stays, and is told at each start.
    page.change("0 5 * * *", active=False)
    for _ in range(2):
        (told,) = deployment.deploy(home)
        assert "kept the schedule `0 5 * * *`, turned off" in told
        assert page.schedule() == ("0 5 * * *", False)

    # Another part of prefect.yaml changes, and params.yaml: both are followed, the person's schedule stays.
    page.change("0 7 * * *", active=True, name="collect-garbage")
    edit(toy / "prefect.yaml", "From last day's logs", "From yesterday's logs")
    edit(toy / "params.yaml", "margin: 0.03", "margin: 0.04")
    told, beside = deployment.deploy(home)
    assert "kept the schedule" in told and page.schedule() == ("0 5 * * *", False)
    assert "deployment collect-garbage/collect-garbage: kept the schedule `0 7 * * *`, as set" in beside
    page.change("0 6 * * 0", active=False, name="collect-garbage", timezone="Europe/Berlin")  # as the file says
    found = page.deployment()
    margin = found["parameter_openapi_schema"]["definitions"]["EvaluateForm"]["properties"]["margin"]
    assert found["description"].startswith("From yesterday's logs") and "`0.04`" in margin["description"]
    assert page.submit({"nothing": 1}).status_code == 409

    # The file itself says something new about the schedule: that wins, and is told.
    edit(toy / "prefect.yaml", 'cron: "0 3 * * *"', 'cron: "30 2 * * *"')
    (told,) = deployment.deploy(home)
    assert "the new schedule in prefect.yaml replaced the schedule `0 5 * * *`, turned off" in told
    assert page.schedule() == ("30 2 * * *", True)

    # A pause of the whole deployment stays; `nightreel deploy` goes back to the file.
    page.client.post(f"/deployments/{found['id']}/pause_deployment").raise_for_status()
    (told,) = deployment.deploy(home)
    assert "kept a pause" in told and page.deployment()["paused"]
    page.change("0 6 * * *", active=True)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    done = project.nightreel(toy, "deploy", PREFECT_API_URL=prefect_api, **credentials.of_client(PREFECT))
    assert done.returncode == 0 and "from prefect.yaml" in done.stdout, done.stderr
    assert page.schedule() == ("30 2 * * *", True) and not page.deployment()["paused"]


def test_without_a_server_deploy_says_so(toy: Path) -> None:
    done = project.nightreel(toy, "deploy")
    assert done.returncode == 1 and "no Prefect server to deploy to" in done.stderr
    done = project.nightreel(toy, "deploy", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 1 and "no Prefect server responds there" in done.stderr
