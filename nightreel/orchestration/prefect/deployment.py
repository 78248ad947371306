"""Deploys prefect.yaml to a Prefect server, and keeps what a person set in Prefect's UI."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nightreel.errors import UserError
from nightreel.orchestration.prefect.work_pool import make_pool
from nightreel.orchestration.project import Project
from nightreel.settings.yaml_values import FAST
from nightreel.stage import write_json

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

NAME = "nightly/nightly"
RECORD = "deployed.json"
DIRECTORY = "prefect.deployments.steps.set_working_directory"
_Facts = dict[str, Any]


def deploy(home: Project, *, anew: bool = False) -> list[str]:
    """Deploy prefect.yaml if it changed since the last time, or if the server has no such deployment.

    A schedule or pause that a person set in Prefect's UI is kept, unless prefect.yaml itself has a new schedule. The
    form always follows params.yaml, and the deployment the checkout's folder.

    Args:
        home: The checkout and its state directory.
        anew: Deploy everything in prefect.yaml, whatever was set in the UI.

    Returns:
        Lines for the terminal that say what was kept or replaced.

    Raises:
        UserError: prefect.yaml can't be deployed.
    """
    from prefect.client.orchestration import get_client

    text = (home.root / "prefect.yaml").read_bytes()
    digest, says = hashlib.sha256(text).hexdigest(), _says(home, text)
    make_pool()
    with get_client(sync_client=True) as client:
        before, record, told = _read(client), _recorded(home.state), list[str]()
        known = before is not None and record.get("id") == before["id"]
        if anew or before is None or not known or record.get("prefect.yaml") != digest:
            _prefect_deploy(home)
            after = _require(client)
            fresh = {"prefect.yaml": digest, "id": after["id"], "says": says, "set": _set(after)}
            if before is not None and not anew:
                told = _keep(client, before, after, record if known else fresh | {"set": _set(after)}, says)
            record = fresh
        elif (person := _set(before)) != record.get("set"):
            told = [_kept(person)]
        _refresh(client, home)
    write_json(home.state / RECORD, record)
    return told


def _keep(client: SyncPrefectClient, before: _Facts, after: _Facts, record: _Facts, says: Any) -> list[str]:
    """After a new deployment, restore what a person had set, unless prefect.yaml has a new schedule."""
    person = _set(before)
    if person == record["set"] or person == _set(after):
        return []
    if record["says"] != says:
        return [f"deployment {NAME}: the new schedule in prefect.yaml replaced {_words(person)}"]
    path = {"id": after["id"]}
    for each in after["schedules"]:
        one = path | {"schedule_id": each["id"]}
        client.request("DELETE", "/deployments/{id}/schedules/{schedule_id}", path_params=one)
    if person["schedules"]:
        client.request("POST", "/deployments/{id}/schedules", path_params=path, json=person["schedules"])
    client.request("PATCH", "/deployments/{id}", path_params=path, json={"paused": person["paused"]})
    return [_kept(person)]


def _refresh(client: SyncPrefectClient, home: Project) -> None:
    """Update the form and the folder, since params.yaml may have changed or the checkout may have moved."""
    now, changes = _require(client), _Facts()
    schema = form_schema(home)
    if now["parameter_openapi_schema"] != schema:
        changes["parameter_openapi_schema"] = schema
    steps = [
        {DIRECTORY: {"directory": str(home.root)}} if DIRECTORY in step else step for step in now["pull_steps"] or []
    ]
    if now["pull_steps"] != steps:
        changes["pull_steps"] = steps
    if changes:
        client.request("PATCH", "/deployments/{id}", path_params={"id": now["id"]}, json=changes)


def form_schema(home: Project) -> _Facts:
    """The form of the checkout's code and params.yaml, as JSON Schema.

    Raises:
        UserError: The code or params.yaml of the checkout can't be read.
    """
    told = _python(home, "-m", "flows.form_schema")
    if told.returncode:
        raise UserError(f"{home.root}: the form can't be built:\n{told.stdout[-500:]}{told.stderr[-1500:]}")
    return dict(json.loads(told.stdout.splitlines()[-1]))


def _prefect_deploy(home: Project) -> None:
    told = _python(home, "-m", "prefect", "--no-prompt", "deploy", "--all")
    if told.returncode:
        raise UserError(f"{home.root / 'prefect.yaml'}: can't be deployed:\n{told.stdout[-1500:]}{told.stderr[-1500:]}")


def _python(home: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=home.root,
        env=home.environment_with_prefect(),
        capture_output=True,
        text=True,
        check=False,
    )


def _read(client: SyncPrefectClient) -> _Facts | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(NAME).model_dump(mode="json")
    except ObjectNotFound:
        return None


def _require(client: SyncPrefectClient) -> _Facts:
    found = _read(client)
    if found is None:
        raise UserError(f"prefect.yaml: has no deployment {NAME}. Restore it: git checkout prefect.yaml.")
    return found


def _set(deployment: _Facts) -> _Facts:
    """The schedules and the pause, which a person may change in Prefect's UI."""
    names = ("schedule", "active", "max_scheduled_runs", "parameters", "slug")
    schedules = [{name: each[name] for name in names} for each in deployment["schedules"]]
    return {"paused": deployment["paused"], "schedules": sorted(schedules, key=lambda each: json.dumps(each))}


def _says(home: Project, text: bytes) -> Any:
    """The schedules and pauses in prefect.yaml."""
    try:
        listed = yaml.load(text, FAST)["deployments"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise UserError(
            f"{home.root / 'prefect.yaml'}: has no list of deployments. Restore it: git checkout prefect.yaml."
        ) from None
    return [{name: each.get(name) for name in ("name", "schedules", "paused")} for each in listed]


def _recorded(state: Path) -> _Facts:
    try:
        return dict(json.loads((state / RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _kept(person: _Facts) -> str:
    return (
        f"deployment {NAME}: kept {_words(person)}, as set in Prefect's UI. `nightreel deploy` restores prefect.yaml's"
    )


def _words(person: _Facts) -> str:
    """The schedules and the pause, in words."""
    shown = []
    for each in person["schedules"]:
        schedule = each["schedule"]
        when = schedule.get("cron") or schedule.get("rrule") or f"every {schedule.get('interval', 0):.0f} s"
        shown.append(f"the schedule `{when}`" + ("" if each["active"] else ", turned off"))
    return ("a pause and " if person["paused"] else "") + (" and ".join(shown) or "no schedule")
