"""Brings the data of a night that was checked out: from DVC's cache, or from its remote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nightreel.errors import UserError
from nightreel.orchestration.project import Project


def fetch(home: Project, root: Path, outs: Sequence[str]) -> None:
    """Check the given outs out of DVC's cache, or out of its remote if they are not all there.

    Args:
        home: The checkout and its state directory.
        root: The folder of the night's commit.
        outs: Paths in it.

    Raises:
        UserError: They are in neither.
    """
    for command in ("checkout", "pull"):
        done = _dvc(home, root, command, *outs)
        if done.returncode == 0:
            return
    faults = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    missing = ", ".join(out for out in outs if not (root / out).exists()) or "a file of them"
    raise UserError(
        f"the data of that night are neither in DVC's cache nor in its remote: {missing} can't be had (DVC says: "
        f"{faults[-1] if faults else 'nothing'}). "
        "`nightreel gc` or `dvc gc` may have removed them. `dvc push --all-commits`, run where nights are made, keeps "
        "them in the remote."
    )


def _dvc(home: Project, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=root,
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
