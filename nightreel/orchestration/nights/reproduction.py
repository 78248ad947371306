"""Makes a published version again from its night's commit and the data in DVC's cache, and compares the digests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.bundle.format import digest_of
from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import StageEnvironment, reproduce
from nightreel.orchestration.nights.branch_log import BRANCH, commit_of
from nightreel.orchestration.nights.erased_since import require_nobody_erased
from nightreel.orchestration.nights.night_data import fetch
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import at_commit, versioned
from nightreel.settings import yaml_values
from nightreel.store.backends.base import Store

GIVEN = ("snapshot", "withdraw")
"""Stages that read the outside world: their outs are taken from DVC's cache."""
LAST = "refit"
BUNDLE = Path("data") / "refit" / "bundle"


@dataclass(frozen=True)
class Reproduction:
    """The result.

    Attributes:
        version: Digest of the published version.
        made: Digest of what was made now.
        differs: The first stage whose outs differ from those of the night; None if none does.
        out: Its first out that differs.
    """

    version: str
    made: str
    differs: str | None = None
    out: str | None = None

    @property
    def same(self) -> bool:
        """Whether it is the same version, byte for byte."""
        return self.version == self.made

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {
            "version": self.version,
            "made": self.made,
            "same": self.same,
            "differs_at": self.differs,
            "out": self.out,
        }


def reproduced(home: Project, store: Store, version: str, target: Path, say: Callable[[str], None]) -> Reproduction:
    """Make a version again.

    Args:
        home: The checkout and its state directory.
        store: Where the version is; its champion is read from there, too.
        version: Its digest.
        target: An empty or missing folder, which gets the night's code and data.
        say: Takes a line of progress.

    Raises:
        UserError: There is no commit or no data for it, somebody in it was erased since, or a stage failed.
    """
    with at_commit(home, _commit_of(home, version), target, store.uri):
        lock, stages = _outs(target), pipeline.read(target)
        names = [stage.name for stage in stages if stage.name not in GIVEN]
        fetch(home, target, [out for stage in stages if stage.name in GIVEN for out in stage.outs])
        require_nobody_erased(store, target, version[:12])
        place = StageEnvironment(target, _environment(home, store, target))
        first: tuple[str, str] | None = None
        for stage in names[: names.index(LAST) + 1]:
            say(f"{stage} …")
            reproduce(stage, place, lambda text: None, force=True)
            made = _outs(target)
            changed = [out for out, md5 in lock.get(stage, {}).items() if made.get(stage, {}).get(out) != md5]
            if changed and first is None:
                first = stage, changed[0]
                say(f"{stage}: {changed[0]} differs from the night's")
        made_now = digest_of(target / BUNDLE)
    return Reproduction(version, made_now, *(first or (None, None)))


def _commit_of(home: Project, version: str) -> str:
    """The commit of the night that made a version."""
    commit = commit_of(home.root, version) if versioned(home.root) else None
    if commit is None:
        raise UserError(
            f"{version[:12]}: can't be made again here: no commit of the branch {BRANCH} made it. Clone the repository "
            "in which it was made, or fetch that branch from it. The version may also be older than the nights that "
            "`nightreel gc` keeps, or have been made without git."
        )
    return commit


def _outs(root: Path) -> dict[str, dict[str, str]]:
    """Hash of each out, by stage, from dvc.lock."""
    found = yaml_values.read((root / "dvc.lock").read_text("utf-8"))["stages"]
    return {name: {out["path"]: out["md5"] for out in stage.get("outs", [])} for name, stage in found.items()}


def _environment(home: Project, store: Store, root: Path) -> Mapping[str, str]:
    """The stages' environment: a state directory of their own, so that nothing is taken from a cache of vectors; what
    language models answered is, since they may answer otherwise today."""
    state = root / ".nightreel"
    state.mkdir(exist_ok=True)
    if (home.state / "understand").exists():
        shutil.copytree(home.state / "understand", state / "understand", dirs_exist_ok=True)
    return Project(root, state).environment({"NIGHTREEL_STORE": store.uri, history.VARIABLE: ""})
