"""A commit for each night, on a branch of its own, with the code, parameters, dvc.lock and metrics that it ran with.

So `git log nightreel/nights`, `git diff`, `dvc metrics diff` and `dvc exp show` compare nights, and a version can be
made again (see `reproduction`). The branch is written with plumbing alone: the checkout, its index and its branches
stay as they are, no hook runs, nothing is signed or pushed. Untracked files stay out, because they may be somebody's
data, but for code of the pipeline. Without git the same files stand in a folder in the state directory, without the
code.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.monitoring.night import Night
from nightreel.orchestration.nights.branch_log import REF
from nightreel.orchestration.worktree import run_git, versioned

CODE = ("nightreel", "tasks", "flows")  # their new modules are committed, too
WRITTEN = ("dvc.lock", "metrics")
KEPT = ("dvc.yaml", "params.yaml", *WRITTEN)
IDENTITY = {
    "GIT_AUTHOR_NAME": "Nightreel",
    "GIT_AUTHOR_EMAIL": "nightreel@localhost",
    "GIT_COMMITTER_NAME": "Nightreel",
    "GIT_COMMITTER_EMAIL": "nightreel@localhost",
}
TRIES = 5  # another night of the same repository, in another state directory, may commit at the same time


@dataclass(frozen=True)
class _Git:
    """Git in a folder, without hooks and without the user's environment. index: a temporary index file."""

    root: Path
    index: Path

    def __call__(self, *words: str, **more: str) -> str:
        done = run_git(self.root, *words, GIT_INDEX_FILE=str(self.index), **more)
        if done.returncode:
            raise UserError(f"git {words[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        return done.stdout.strip()


def keep(root: Path, state: Path, night: Night, place: Path) -> str | None:
    """Keep a night's files.

    Args:
        root: The checkout.
        state: The state directory.
        night: The night, which has ended.
        place: The folder in which it ran: the checkout, or its worktree.

    Returns:
        The commit; None without git, where they are copied to `<state>/nights/files/<night>`.

    Raises:
        UserError: Git failed.
        OSError: The files can't be written.
    """
    if not versioned(root):
        _copy(place, state / history.FOLDER / history.FILES / night.id)
        return None
    with tempfile.TemporaryDirectory(prefix="nightreel-index-") as folder:
        git = _Git(place, Path(folder) / "index")
        git("read-tree", "HEAD")
        git("add", "--update", ".")
        git("add", "--force", *(name for name in WRITTEN if (place / name).exists()))
        git("add", "--", *(f":(glob){folder}/**/*.py" for folder in CODE))
        tree = git("write-tree")
        for attempt in range(TRIES):
            before = _head(git)
            parent = ("-p", before) if before else ()
            stamp = {
                "GIT_AUTHOR_DATE": f"@{night.began:.0f} +0000",
                "GIT_COMMITTER_DATE": f"@{night.ended or night.began:.0f} +0000",
            }
            commit = git("commit-tree", tree, *parent, "-m", message(night), **IDENTITY, **stamp)
            try:
                git("update-ref", "-m", f"night {night.id}", REF, commit, before or "0" * len(commit))
            except UserError:
                if attempt + 1 == TRIES:
                    raise
            else:
                return commit
    raise AssertionError("unreachable")


def keep_with(root: Path, state: Path, night: Night, place: Path) -> Night:
    """Keep a night's files as `keep` does, write the commit into its entry, and return it."""
    found = night.model_copy(update={"commit": keep(root, state, night, place)})
    history.write(state, found)
    return found


def message(night: Night) -> str:
    """The commit's message: the outcome, the reason, and what the night is found by elsewhere."""
    version = f" {night.version[:12]}" if night.version else ""
    facts: Mapping[str, str | None] = {
        "Night": night.id,
        "Version": night.version,
        "Recipe": night.recipe,
        "Flow-run": night.flow_run,
        "Source": night.source,
    }
    trailers = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
    return f"{night.day} UTC {night.outcome}{version}\n\n{night.reason.strip() or 'No reason.'}\n\n{trailers}\n"


def _head(git: _Git) -> str | None:
    found = git("for-each-ref", "--format=%(objectname)", REF)
    return found or None


def _copy(place: Path, target: Path) -> None:
    for name in KEPT:
        source = place / name
        if source.is_dir():
            shutil.copytree(source, target / name, dirs_exist_ok=True)
        elif source.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
