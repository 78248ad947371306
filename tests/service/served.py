"""The service as its users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from nightreel.orchestration.prefect.run_server import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """A running service."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def serve(store: str, state: Path, *arguments: str) -> Iterator[Served]:
    """Ready when entered, gone when left."""
    port = free_port()
    command = [sys.executable, "-c", "from nightreel.cli.main import main; main()", "serve", "--store", store]
    environment = os.environ | {"NIGHTREEL_STATE": str(state), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--port", str(port), *arguments], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield Served(url, process)
    finally:
        process.kill()
        process.wait()
