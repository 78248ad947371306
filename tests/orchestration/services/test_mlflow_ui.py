"""MLflow's pages under `nightreel up`: where they can't be had, a page says why and `up` goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightreel.orchestration.prefect.run_server import free_port
from nightreel.orchestration.services.mlflow_ui import stand_in
from tests.support.toy import HERE

pytestmark = pytest.mark.end_to_end


@contextmanager
def pages(state: Path, **variables: str) -> Iterator[str]:
    """Their address; the processes are ended."""
    port = free_port()
    environment = {**os.environ, "NIGHTREEL_STATE": str(state), "PYTHONPATH": str(HERE), **variables}
    command = [sys.executable, "-m", "nightreel.orchestration.services.mlflow_ui", str(port)]
    with subprocess.Popen(command, cwd=state, env=environment, start_new_session=True) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 9)


def read(address: str) -> str:
    """The page, as soon as there is one."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer")


def test_a_broken_database_is_told_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"not a database, but long enough to be looked at" * 99)
    with pages(tmp_path) as address:
        page = read(address + "/health")
    assert f"MLflow&#x27;s database {tmp_path}/mlflow/mlflow.db is damaged. Restore it" in page


def test_a_server_of_ones_own_is_linked(tmp_path: Path) -> None:
    with pages(tmp_path, MLFLOW_TRACKING_URI="https://me:secret@mlflow.example/base") as address:
        page = read(address)
    assert 'href="https://mlflow.example/base"' in page and "secret" not in page


def test_the_stand_in_leaves_the_port_to_the_next_try() -> None:
    port = free_port()
    for _ in range(2):
        stand_in(port, "…", None, 0.1)
