"""Nightreel's side: a night on the data in a fresh clone (or a workspace where one has run), its split and its
lists."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.nightly import BIN, ROOT, Cost, measure

COMMAND = "from nightreel.cli.main import main; main()"  # `nightreel`, of the clone's code whatever is installed
OWN = Path(__file__).parent / "own.py"
NEEDED = ("data/validate/splits.json", "data/evaluate/decision.json", "data/finetune/choices.json")


class NightError(Exception):
    """No night to compare; the message says why and what to do."""


@dataclass(frozen=True)
class Night:
    """A workspace whose stages have run. cost: of the whole night, None where it ran before."""

    workspace: Path
    cost: Cost | None = None
    stages: dict[str, float] | None = None

    def own(self, *words: str) -> None:
        """Run own.py with the workspace's code and in its folder; raises NightError with its last line."""
        found = subprocess.run(
            [sys.executable, str(OWN), *words], cwd=self.workspace, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(self.workspace)}, check=False,
        )  # fmt: skip
        if found.returncode:
            raise NightError((found.stderr.strip().splitlines() or ["failed"])[-1].removeprefix("error: "))


def finished(workspace: Path) -> Night:
    """A workspace that was named; raises NightError where its stages have not run."""
    missing = [name for name in NEEDED if not (workspace / name).exists()]
    if missing:
        raise NightError(f"--workspace {workspace}: has no {missing[0]}. Name a checkout after `nightreel run`.")
    return Night(workspace.resolve())


def run(data: str, chosen: Mapping[str, object], state: Path) -> Night:
    """`nightreel run --data` in a fresh clone of HEAD with a state directory of its own; chosen: parameters other than
    params.yaml's. Raises NightError."""
    folder = state / "night"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clone = folder / "clone"
    if subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=False).returncode:
        raise NightError(f"{ROOT}: can't be cloned. Run the benchmark from a git checkout, or name a --workspace.")
    environment = os.environ | {
        "NIGHTREEL_STATE": str(folder / "state"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
    }
    command = [sys.executable, "-c", COMMAND, "run", "--json", "--data", data]
    for name, value in chosen.items():
        command += ["--set", f"{name}={value}"]
    print(f"a night over {data} in {clone}", flush=True)
    try:
        cost = measure(command, clone, environment)
    except RuntimeError as error:
        raise NightError(_why(str(error))) from None
    workspaces = [path for path in (folder / "state" / "runs").iterdir() if path.name != "last"]
    return Night(max(workspaces), cost, stage_seconds(cost.output))


def stage_seconds(output: str) -> dict[str, float] | None:
    """Seconds of each stage, from the JSON at the end of the command's output; None where there is none."""
    try:
        text = f"\n{output}"
        facts: dict[str, Any] = json.JSONDecoder().raw_decode(text, text.rindex("\n{\n") + 1)[0]
    except ValueError:
        return None
    return {name: float(stage["seconds"]) for name, stage in facts["stages"].items()}


def _why(output: str) -> str:
    """What the command itself says went wrong."""
    told = [line.strip() for line in output.splitlines() if "error:" in line]
    return told[-1].partition("error:")[2].strip() if told else output[-500:]
