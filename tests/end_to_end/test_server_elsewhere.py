"""`nightreel up` with a Prefect server that already runs elsewhere: it deploys and works there, and starts none."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from benchmarks.faults import night_project
from nightreel.orchestration.prefect import credentials, run_server
from nightreel.orchestration.prefect.work_pool import POOL
from tests.end_to_end.started_up import started
from tests.support import toy

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return night_project.build(tmp_path_factory.mktemp("elsewhere") / "project")


def refused(root: Path, **variables: str) -> str:
    ports = ("--port", str(run_server.free_port()), "--mlflow-port", str(run_server.free_port()))
    done = toy.nightreel(root, "up", *ports, **variables)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "s3cret" not in done.stderr, done.stderr
    return done.stderr


def test_a_server_that_is_gone_or_lets_nobody_in_is_told(root: Path, prefect_api: str) -> None:
    gone = f"http://me:s3cret@127.0.0.1:{run_server.free_port()}/api"
    said = refused(root, PREFECT_API_URL=gone)
    assert "no Prefect server responds there. Start it, or unset the variable" in said
    said = refused(root, PREFECT_API_URL=prefect_api, PREFECT_API_AUTH_STRING="me:s3cret")
    assert "Prefect denies access. Correct PREFECT_API_AUTH_STRING=user:password or PREFECT_API_KEY." in said


def test_a_night_runs_there_and_the_server_stays(root: Path, prefect_api: str) -> None:
    variables = {name: os.environ[name] for name in ("PREFECT_API_URL", credentials.CLIENT)}
    with started(root, **variables) as up, get_client(sync_client=True) as client:
        assert up.addresses["prefect_api"] == prefect_api and credentials.ADDRESS not in up.addresses
        commands = [child.cmdline() for child in psutil.Process(up.process.pid).children(recursive=True)]
        assert not [words for words in commands if "server" in words and "prefect" in words]
        told = json.loads(toy.nightreel(root, "env", "--json").stdout)
        assert told["PREFECT_API_URL"] == prefect_api and credentials.CLIENT not in told
        run = client.create_flow_run_from_deployment(client.read_deployment_by_name("nightly/nightly").id)
        deadline = time.monotonic() + 300
        while not (state := client.read_flow_run(run.id).state) or not state.is_final():
            assert time.monotonic() < deadline, state
            time.sleep(0.5)
        assert state.is_completed(), state
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(timeout=120) == 0
    assert run_server.answers(prefect_api) and not (root / ".nightreel" / "prefect" / "prefect.db").exists()


def test_a_work_pool_of_containers_is_left_to_its_own_workers(root: Path, prefect_api: str) -> None:
    variables = {name: os.environ[name] for name in ("PREFECT_API_URL", credentials.CLIENT)}
    with get_client(sync_client=True) as client:
        client.delete_work_pool(POOL)
        client.create_work_pool(WorkPoolCreate(name=POOL, type="docker"))
        try:
            assert "its work pool nightreel is of type docker, and `nightreel up` starts processes" in refused(
                root, **variables
            )
            assert toy.nightreel(root, "deploy", **variables).returncode == 0
            assert client.read_deployment_by_name("nightly/nightly").work_pool_name == POOL
        finally:
            client.delete_work_pool(POOL)
