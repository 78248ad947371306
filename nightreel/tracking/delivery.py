"""Starts the sender process, reads its messages and stops it after a timeout, so that MLflow's faults are isolated."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightreel.tracking.address import artifact_root

START_S = 300.0
"""Time limit for importing MLflow: it takes seconds, or minutes on a busy machine."""


@dataclass
class Delivered:
    """The result. recorded: recipes that are now in MLflow; faults: recipe (None: all of MLflow) → why it failed."""

    recorded: list[str] = field(default_factory=list)
    faults: dict[str | None, str] = field(default_factory=dict)

    def take(self, message: dict[str, Any]) -> None:
        """Add a message of the process."""
        if "recorded" in message:
            self.recorded.append(message["recorded"])
        elif "fault" in message:
            self.faults[message["recipe"]] = message["fault"]

    def fault(self, recipe: str) -> str | None:
        """Return why a recipe was not recorded; None if it was."""
        if recipe in self.recorded:
            return None
        return self.faults.get(recipe) or self.faults.get(None) or next(iter(self.faults.values()), None)


def deliver(state: Path, uri: str, live: str | None, say: Callable[[str], None]) -> Delivered:
    """Record all waiting runs. Never raises, since recording is optional.

    Args:
        state: The state directory.
        uri: MLflow's database or server, absolute.
        live: Digest that the channel points to, if any.
        say: Prints a line at once, since a message about waiting is of no use later.

    Returns:
        What was recorded, and what failed.
    """
    done = Delivered()
    try:
        for message in _messages(state, uri, live):
            if "say" in message:
                say(message["say"])
            done.take(message)
    except OSError as error:
        done.faults[None] = f"the process for MLflow can't be started: {error}"
    return done


def _messages(state: Path, uri: str, live: str | None) -> Iterator[dict[str, Any]]:
    """Yield the messages of the process; ends it in any case."""
    here, log = state / "mlflow", state / "logs" / "record.log"
    for folder in (here, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    code = Path(__file__).parents[2]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "NIGHTREEL_STATE": str(state)}
    if root := artifact_root(state, uri):
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = root
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "nightreel.tracking.sender", str(state), *([live] if live else [])]
    # In MLflow's own folder, because MLflow resolves relative paths against the working directory.
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            yield from _listen(process, log)
        finally:
            process.kill()


def _listen(process: subprocess.Popen[bytes], log: Path) -> Iterator[dict[str, Any]]:
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    within, doing, faulty = START_S, "importing MLflow", False
    late = f"importing MLflow took longer than {START_S:.0f} s. The machine may be too busy"
    while True:
        try:
            line = lines.get(timeout=within)
        except queue.Empty:
            yield {"fault": late, "recipe": None}
            return
        if line is None:
            break
        message = json.loads(line)
        if "within" in message:
            within, doing, late = message["within"], message["doing"], message["late"]
        faulty |= "fault" in message
        yield message
    code = process.wait()
    if code and not faulty:
        yield {"fault": f"{doing} ended with exit code {code}. See {log}", "recipe": None}


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
