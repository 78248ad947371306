"""The peers' environments, installed once in the state folder from the pinned requirements next to the peers' code."""

from __future__ import annotations

import hashlib
import re
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
INSTALL_S = 1800
ERROR = re.compile(r"(ERROR: |[\w.]*(Error|Exception)\b)")


@dataclass(frozen=True)
class Environment:
    """An interpreter with the peers of one requirements file, or why there is none."""

    python: Path
    failure: str = ""


def environment(name: str, state: Path) -> Environment:
    """The environment of `requirements-<name>.txt`; pip's output goes to a log beside it. A failure is tried again
    next time."""
    requirements = PEERS / f"requirements-{name}.txt"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = state / "venv" / f"{name}-{key}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return Environment(python)
    log = state / "venv" / f"{name}-{key}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"installing the peers of {requirements.name} (once; pip's log: {log})", flush=True)
    try:
        venv.create(folder, with_pip=True, clear=True)
        with log.open("w", encoding="utf-8") as out:
            subprocess.run(
                [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements],
                check=True, stdout=out, stderr=subprocess.STDOUT, timeout=INSTALL_S,
            )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Environment(python, f"not installed: {reason(log) or error}")
    (folder / "ready").touch()
    return Environment(python)


def reason(log: Path) -> str:
    """The last error that a log of pip or of Python tells, else its last line; at most 200 characters."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.match(line)]
    return (errors or lines or [""])[-1][:200]
