"""Where a run takes place: the checkout, the state directory and the environment of every child process."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nightreel import checkout, child_environment
from nightreel.errors import UserError
from nightreel.stage import state_directory


@dataclass(frozen=True)
class Project:
    """A folder with a dvc.yaml (the checkout, or a run's own copy) and the state directory, which outlives the run."""

    root: Path
    state: Path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a stage or of DVC: this interpreter first on the path, unbuffered output, the state
        directory; no credentials of Prefect."""
        return {**child_environment.of_stage(os.environ), **settings_of_children(self.state), **(more or {})}

    def environment_with_prefect(self) -> dict[str, str]:
        """The environment of a worker or another client of Prefect, which starts flow runs and so stages; the password
        of Prefect's database is its server's."""
        return {**child_environment.of_client(os.environ), **settings_of_children(self.state)}

    def environment_of_server(self, *prefixes: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a server: see `child_environment.of_server`."""
        known = {**os.environ, **settings_of_children(self.state)}
        return {**child_environment.of_server(known, *prefixes), **(more or {})}

    def log(self, name: str) -> Path:
        """The log file of a background process; creates its folder."""
        folder = self.state / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"


def find(start: Path | None = None) -> Project:
    """Find the project of a folder: the folder itself or its nearest parent with a dvc.yaml.

    Raises:
        UserError: There is none.
    """
    here = (start or Path.cwd()).resolve()
    root = checkout.find(here)
    if root is None:
        raise UserError(
            f"{here}: no Nightreel checkout here or above (dvc.yaml and .dvc). Runs need a clone of Nightreel's "
            "repository, not only the installed package: `git clone` it, run `pip install -c requirements.lock -e "
            "'.[pipeline]'` in it, and try again there."
        )
    state = state_directory()
    former = None if state.exists() or os.environ.get("NIGHTREEL_STATE") else checkout.former_state(root)
    if former is not None:
        raise UserError(
            f"{former}: is the state directory of an earlier release; it now stands beside dvc.yaml, where git ignores "
            f"it. Move it (mv {shlex.quote(str(former))} {shlex.quote(str(state))}), or name it in NIGHTREEL_STATE."
        )
    return Project(root, state)


def settings_of_children(state: Path) -> dict[str, str]:
    """The environment of every process that a run starts: nothing is written to the user's home, no telemetry."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "NIGHTREEL_STATE": str(state),
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **_account(state),
    }


def _account(state: Path) -> dict[str, str]:
    """Name and home of a user whom the system doesn't know, as in a container: DVC, MLflow and PyTorch ask for them."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        home = os.environ.get("HOME", "")
        usable = home if home and os.access(home, os.W_OK) else str(state / "home")
        return {"HOME": usable, "USER": os.environ.get("USER") or f"uid-{os.getuid()}"}
    return {}
