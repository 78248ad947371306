"""A state directory has one store: whichever way a night is run, it publishes where every command reads."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.errors import UserError
from nightreel.orchestration.prefect.run_server import free_port
from nightreel.orchestration.services.start import uses_object_store
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.seaweedfs import OWN_STORE
from nightreel.store.open import OBJECT_STORE_IN_USE, store_uri
from tests.support import toy as project


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path))
    return tmp_path


def in_use(state: Path) -> None:
    (state / OBJECT_STORE_IN_USE).parent.mkdir()
    (state / OBJECT_STORE_IN_USE).touch()


def test_it_is_the_folder_unless_another_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_uri() == str(state / "store") and not uses_object_store(state, wanted=False)
    assert uses_object_store(state, wanted=True)
    monkeypatch.setenv("NIGHTREEL_STORE", "s3://films/index")
    assert store_uri() == "s3://films/index" and not uses_object_store(state, wanted=False)
    with pytest.raises(UserError, match=r"s3://films/index: nights publish there.*Leave out --object-store"):
        uses_object_store(state, wanted=True)


def test_once_it_is_the_object_store_the_folder_is_none(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_use(state)
    assert uses_object_store(state, wanted=False)
    with pytest.raises(StoreError, match=re.escape('eval "$(nightreel env)"')):
        store_uri()
    monkeypatch.setenv("NIGHTREEL_STORE", OWN_STORE)
    assert store_uri() == OWN_STORE and uses_object_store(state, wanted=False)
    monkeypatch.setenv("NIGHTREEL_STORE", "s3://films/index")
    with pytest.raises(UserError, match="Unset the variable"):
        uses_object_store(state, wanted=False)


def test_a_folder_with_versions_stays_the_store(state: Path) -> None:
    (state / "store" / "channels").mkdir(parents=True)
    assert not uses_object_store(state, wanted=False)
    with pytest.raises(UserError, match="has versions already, and a state directory has one store"):
        uses_object_store(state, wanted=True)


@pytest.mark.end_to_end
def test_the_object_store_of_up_is_reached_through_env_and_stays_the_store(toy: Path) -> None:
    ports = ["--port", str(free_port()), "--mlflow-port", str(free_port()), "--store-port", str(free_ports(8))]
    for more in (["--object-store"], []):  # the option is needed once
        command = [sys.executable, "-c", "from nightreel.cli.main import main; main()", "up", "--json", *more, *ports]
        up = subprocess.Popen(command, cwd=toy, env=project.environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert up.stdout is not None
            addresses = json.loads(up.stdout.readline())
            assert addresses["store"] == OWN_STORE and addresses["object_store"].endswith(ports[-1])
            keys = json.loads(project.nightreel(toy, "env", "--json").stdout)
            assert keys["NIGHTREEL_STORE"] == OWN_STORE and keys["AWS_SECRET_ACCESS_KEY"]
            with_keys, without = project.nightreel(toy, "versions", **keys), project.nightreel(toy, "versions")
            assert f"nothing is published yet in {OWN_STORE}" in with_keys.stderr
            assert without.returncode == 1 and "nightreel env" in without.stderr and "Traceback" not in without.stderr
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
