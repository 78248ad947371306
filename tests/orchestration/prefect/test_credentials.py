"""The servers that Nightreel starts answer nobody without the password, and the password stands only where it must."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client

from nightreel.errors import UserError
from nightreel.orchestration import parent_watch
from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.prefect import credentials, run_server
from nightreel.orchestration.project import Project
from nightreel.stage import write_json
from tests.conftest import PREFECT


def test_they_are_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    assert credentials.prepare(tmp_path) and not credentials.prepare(tmp_path)
    path, first = tmp_path / credentials.FILE, credentials.auth_string(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and first.startswith("nightreel:") and len(first) > 40
    path.chmod(0o644)
    assert credentials.prepare(tmp_path) and credentials.auth_string(tmp_path) != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [path] == list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / credentials.FILE).write_text("{")
    with pytest.raises(UserError, match=r"prefect-api.json: is missing or damaged. Delete it"):
        credentials.auth_string(tmp_path)


@pytest.mark.end_to_end
def test_nobody_else_is_answered(prefect_api: str) -> None:
    user, _, password = credentials.auth_string(PREFECT).partition(":")
    flow = {"name": "from another page"}
    evil = {"Origin": "http://evil.example"}
    assert httpx.get(f"{prefect_api}/health").status_code == 200
    assert httpx.post(f"{prefect_api}/flows/filter", json={}).status_code in (401, 403)
    assert httpx.get(f"{prefect_api}/admin/version").status_code == 401
    assert httpx.get(f"{prefect_api}/admin/version", auth=(user, "wrong")).status_code == 401
    signed = httpx.post(f"{prefect_api}/flows/", json=flow, auth=(user, password), headers=evil)
    assert signed.status_code == 403 and "CSRF" in signed.text
    assert "access-control-allow-origin" not in signed.headers
    asked = httpx.options(f"{prefect_api}/flows/", headers=evil | {"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in asked.headers
    with get_client(sync_client=True) as client:
        assert client.read_flows() == [] or "from another page" not in {each.name for each in client.read_flows()}


@pytest.mark.end_to_end
def test_the_password_stands_in_no_log_argument_or_stage(
    prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = credentials.auth_string(PREFECT).partition(":")[2]
    for log in (PREFECT / "logs").glob("*.log"):
        assert password not in log.read_text()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert password.encode() not in (process / "cmdline").read_bytes()
        except OSError:
            continue
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's")
    monkeypatch.setenv("GITHUB_TOKEN", "the user's, too")
    project = Project(tmp_path, PREFECT)
    assert password in os.environ[credentials.CLIENT] == project.environment_with_prefect()[credentials.CLIENT]
    assert password not in json.dumps(project.environment()) and "GITHUB_TOKEN" not in project.environment()
    assert project.environment()["AWS_SECRET_ACCESS_KEY"] == "the user's"  # sources and stores on S3 need it
    for server in (project.environment_of_server("MLFLOW_"), run_server.of_server(project, 1)):
        assert "the user's" not in json.dumps(server) and "PATH" in server
    assert credentials.CLIENT not in run_server.of_server(project, 1)


def test_only_our_own_server_gets_our_password(tmp_path: Path) -> None:
    credentials.prepare(tmp_path)
    project, ours, other = Project(tmp_path, tmp_path), "http://127.0.0.1:4200/api", "https://prefect.example/api"
    with exclusive(tmp_path / parent_watch.LOCK, "up"):
        write_json(tmp_path / "up.json", {"prefect_api": ours, credentials.ADDRESS: str(tmp_path / credentials.FILE)})
        with_password = {"PREFECT_API_URL": ours + "/"} | credentials.of_client(tmp_path)
        assert run_server.address(project, ours + "/") == with_password
        assert run_server.address(project, other) == {"PREFECT_API_URL": other}
        write_json(tmp_path / "up.json", {"prefect_api": other})  # `up` works for a server elsewhere
        assert run_server.running(project) == other
        assert run_server.address(project, other) == {"PREFECT_API_URL": other}
    assert run_server.running(project) is None, "what an `up` that was killed has left"
