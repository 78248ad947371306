"""A running `nightreel up` of a checkout, its Prefect server and other terminals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.prefect_client import logged_in
from nightreel.orchestration.prefect import credentials
from nightreel.orchestration.prefect.run_server import free_port
from tests.support import toy


@dataclass
class Up:
    """A running `nightreel up` and the addresses that it printed."""

    root: Path
    process: subprocess.Popen[str]
    addresses: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    """What other terminals need beside what they have."""

    @property
    def login(self) -> str:
        """`user:password` of Prefect's page and API."""
        return credentials.auth_string(self.root / ".nightreel")

    def asked(self, method: str, path: str, body: Any = None) -> httpx.Response:
        with logged_in(self.addresses["prefect_api"], self.root / ".nightreel") as client:
            return client.request(method, path, json=body)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(10):  # a busy server says 503 while its database is locked, and Prefect's own client asks again
            answer = self.asked(method, path, body)
            if answer.status_code != 503:
                break
            time.sleep(1)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def nightreel(self, *words: str) -> str:
        """What a command prints in another terminal."""
        done = toy.nightreel(self.root, *words, **self.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def finished(self, flow_run: str, seconds: float = 900.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.api("GET", f"/flow_runs/{flow_run}")
            if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return found
            time.sleep(0.5)
        raise AssertionError(f"the run is still {found['state_name']}")


@contextmanager
def started(root: Path, *words: str, **variables: str) -> Iterator[Up]:
    """Start it in a checkout, on free ports; it is killed after the block if it still runs.

    words, variables: more of its command line, and of its environment.
    """
    command = [sys.executable, "-c", "from nightreel.cli.main import main; main()", "up", "--json", *words]
    command += ["--port", str(free_port()), "--mlflow-port", str(free_port())]
    process = subprocess.Popen(command, cwd=root, env=toy.environment() | variables, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (root / ".nightreel" / "logs" / "prefect.log").read_text()
    try:
        yield Up(root, process, json.loads(line))
    finally:
        process.kill()
        process.wait()
