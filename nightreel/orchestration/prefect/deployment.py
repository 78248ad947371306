"""Deploys prefect.yaml to a Prefect server, and keeps what a person set in Prefect's UI."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nightreel.errors import UserError
from nightreel.orchestration.prefect.work_pool import make_pool
from nightreel.orchestration.project import Project
from nightreel.settings import yaml_values
from nightreel.stage import write_json

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

NAME = "nightly/nightly"
"""The deployment of the nightly run; the others are in prefect.yaml alone."""
RECORD = "deployed.json"
DIRECTORY = "prefect.deployments.steps.set_working_directory"
_Facts = dict[str, Any]


def deploy(home: Project, *, anew: bool = False) -> list[str]:
    """Deploy prefect.yaml if it changed since the last time, or if the server lacks one of its deployments.

    A schedule or pause that a person set in Prefect's UI is kept, unless prefect.yaml itself has a new schedule. The
    forms always follow params.yaml, and the deployments the checkout's folder.

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
        before, record, told = _read(client, says), _recorded(home.state), list[str]()
        known = {name for name in says if before[name] and record.of(name).get("id") == before[name]["id"]}
        if anew or record.digest != digest or known != says.keys():
            _prefect_deploy(home)
            after = _require(_read(client, says))
            for name in says if not anew else ():
                if before[name]:
                    last = record.of(name) if name in known else {"says": says[name], "set": _set(after[name])}
                    told += _keep(client, name, before[name], after[name], last, says[name])
            facts = {name: {"id": after[name]["id"], "says": says[name], "set": _set(after[name])} for name in says}
            record = _Record(digest, facts)
        else:
            persons = {name: _set(before[name]) for name in says}
            told = [_kept(name, person) for name, person in persons.items() if person != record.of(name).get("set")]
        _refresh(client, home, says)
    write_json(home.state / RECORD, {"prefect.yaml": record.digest, "deployments": record.deployments})
    return told


def _keep(client: SyncPrefectClient, name: str, before: _Facts, after: _Facts, last: _Facts, says: _Facts) -> list[str]:
    """After a new deployment, restore what a person had set, unless prefect.yaml has a new schedule. last: what it said
    and what was set when it was deployed before."""
    person = _set(before)
    if person == last["set"] or person == _set(after):
        return []
    if last["says"] != says:
        return [f"deployment {name}: the new schedule in prefect.yaml replaced {_words(person)}"]
    path = {"id": after["id"]}
    for each in after["schedules"]:
        one = path | {"schedule_id": each["id"]}
        client.request("DELETE", "/deployments/{id}/schedules/{schedule_id}", path_params=one)
    if person["schedules"]:
        client.request("POST", "/deployments/{id}/schedules", path_params=path, json=person["schedules"])
    client.request("PATCH", "/deployments/{id}", path_params=path, json={"paused": person["paused"]})
    return [_kept(name, person)]


def _refresh(client: SyncPrefectClient, home: Project, names: Iterable[str]) -> None:
    """Update the forms and the folder, since params.yaml may have changed or the checkout may have moved."""
    schemas = form_schemas(home)
    for name, now in _require(_read(client, names)).items():
        changes = _Facts()
        if now["parameter_openapi_schema"] != schemas[name]:
            changes["parameter_openapi_schema"] = schemas[name]
        steps = [
            {DIRECTORY: {"directory": str(home.root)}} if DIRECTORY in step else step
            for step in now["pull_steps"] or []
        ]
        if now["pull_steps"] != steps:
            changes["pull_steps"] = steps
        if changes:
            client.request("PATCH", "/deployments/{id}", path_params={"id": now["id"]}, json=changes)


def form_schemas(home: Project) -> dict[str, _Facts]:
    """The forms of the checkout's code and params.yaml, by deployment, as JSON Schema.

    Raises:
        UserError: The code or params.yaml of the checkout can't be read.
    """
    told = _python(home, "-m", "flows.form_schema")
    if told.returncode:
        raise UserError(f"{home.root}: the forms can't be built:\n{told.stdout[-500:]}{told.stderr[-1500:]}")
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


def _read(client: SyncPrefectClient, names: Iterable[str]) -> dict[str, _Facts]:
    """The deployments by name; an empty one for each that the server does not have."""
    from prefect.exceptions import ObjectNotFound

    found = {}
    for name in names:
        try:
            found[name] = client.read_deployment_by_name(name).model_dump(mode="json")
        except ObjectNotFound:
            found[name] = {}
    return found


def _require(deployments: dict[str, _Facts]) -> dict[str, _Facts]:
    missing = [name for name, facts in deployments.items() if not facts]
    if missing:
        raise UserError(
            f"prefect.yaml: its deployment {missing[0]} can't be found on the server. The deployment and its flow need "
            "the same name. Restore the file: git checkout prefect.yaml."
        )
    return deployments


def _set(deployment: _Facts) -> _Facts:
    """The schedules and the pause, which a person may change in Prefect's UI."""
    names = ("schedule", "active", "max_scheduled_runs", "parameters", "slug")
    schedules = [{name: each[name] for name in names} for each in deployment["schedules"]]
    return {"paused": deployment["paused"], "schedules": sorted(schedules, key=lambda each: json.dumps(each))}


def _says(home: Project, text: bytes) -> dict[str, _Facts]:
    """Schedules and pause of each deployment in prefect.yaml, by its name on the server: it is called like its flow."""
    try:
        listed = yaml_values.read(text)["deployments"]
        found = {
            f"{each['name']}/{each['name']}": {"schedules": each.get("schedules"), "paused": each.get("paused")}
            for each in listed
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        found = {}
    if NAME not in found:
        raise UserError(
            f"{home.root / 'prefect.yaml'}: has no list of deployments with {NAME}. Restore it: git checkout "
            "prefect.yaml."
        )
    return found


@dataclass(frozen=True)
class _Record:
    """What was deployed last. digest: of prefect.yaml; deployments: name → its id, what prefect.yaml said of its
    schedule, and what was set on the server then."""

    digest: str | None
    deployments: dict[str, _Facts]

    def of(self, name: str) -> _Facts:
        return self.deployments.get(name, {})


def _recorded(state: Path) -> _Record:
    try:
        found = json.loads((state / RECORD).read_text("utf-8"))
        if "deployments" not in found:  # of a release before 0.2, which had one deployment
            (said,) = found["says"]
            says = {"schedules": said["schedules"], "paused": said["paused"]}
            return _Record(found["prefect.yaml"], {NAME: {"id": found["id"], "says": says, "set": found["set"]}})
        return _Record(found["prefect.yaml"], dict(found["deployments"]))
    except (OSError, ValueError, TypeError, KeyError):
        return _Record(None, {})


def _kept(name: str, person: _Facts) -> str:
    return (
        f"deployment {name}: kept {_words(person)}, as set in Prefect's UI. `nightreel deploy` restores prefect.yaml's"
    )


def _words(person: _Facts) -> str:
    """The schedules and the pause, in words."""
    shown = []
    for each in person["schedules"]:
        schedule = each["schedule"]
        when = schedule.get("cron") or schedule.get("rrule") or f"every {schedule.get('interval', 0):.0f} s"
        shown.append(f"the schedule `{when}`" + ("" if each["active"] else ", turned off"))
    return ("a pause and " if person["paused"] else "") + (" and ".join(shown) or "no schedule")
