"""A run's own copy of the checkout, so that runs from the form, the schedule, --data and --set never write to it.

With git it is a detached worktree: HEAD plus all uncommitted changes. Without git it is a plain copy, with DVC's
`no_scm`. Both share the checkout's DVC cache and start from the last run's dvc.lock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightreel.errors import UserError, naming_a_full_disk
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import cache_repair, dvc_config, pipeline
from nightreel.orchestration.dvc.recovery import whole
from nightreel.orchestration.project import Project

KEPT = 3  # worktrees kept for inspection after their run
NOT_COPIED = ("__pycache__", "node_modules", "venv")


@contextmanager
def worktree(project: Project, changes: overrides.Changes, cache: Path | None = None) -> Iterator[Project]:
    """Yield a project in a new worktree; after the run, its dvc.lock is kept for the next.

    Args:
        project: The checkout.
        changes: Settings to change in the worktree's params.yaml.
        cache: A DVC cache to use instead of the checkout's.
    """
    overrides.changed(project.root / "params.yaml", changes)
    runs = project.state / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    _prune(project.root, runs, KEPT - 1)
    target = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    cache = cache or dvc_config.shared_cache(project)
    with naming_a_full_disk(target):
        _create(project, target, cache)
        place = Project(target, project.state)
        _seed(project, target, cache)
        overrides.write(target / "params.yaml", changes)
    try:
        yield place
    finally:
        _keep_lock(target, runs / "last")


@contextmanager
def at_commit(project: Project, commit: str, target: Path, store: str | None = None) -> Iterator[None]:
    """Check a commit out to an empty or missing folder, with the checkout's DVC cache; git forgets the folder after the
    block, and its files stay.

    Args:
        project: The checkout.
        commit: The commit.
        target: The folder.
        store: Address of the store, which is DVC's remote unless the checkout has another; default: the checkout's.

    Raises:
        UserError: Git can't check it out there.
    """
    _git(project.root, "worktree", "prune")
    if _git(project.root, "worktree", "add", "--detach", str(target), commit) is None:
        raise UserError(
            f"{target}: commit {commit[:12]} can't be checked out there. Name an empty folder; if the commit is gone "
            "(git log nightreel/nights), the version can't be made again."
        )
    try:
        dvc_config.settle_copy(project, target, dvc_config.shared_cache(project), scm=True, store=store)
        yield
    finally:
        (target / ".git").unlink(missing_ok=True)
        _git(project.root, "worktree", "prune")


def versioned(root: Path) -> bool:
    """Whether root is the top folder of a git checkout with a commit, which this user may write.

    Not so with its git directory elsewhere, as a submodule's is: DVC can't read a worktree of such a repository.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    common = _git(root, "rev-parse", "--git-common-dir")
    return (
        top is not None
        and common is not None
        and Path(common.strip()).name == ".git"
        and os.access(root / common.strip(), os.W_OK)
        and Path(top.strip()).resolve() == root.resolve()
        and _git(root, "rev-parse", "HEAD") is not None
    )


def _create(project: Project, target: Path, cache: Path) -> None:
    root = project.root
    if versioned(root):
        _git(root, "worktree", "prune")
        if _git(root, "worktree", "add", "--detach", "--no-checkout", str(target), "HEAD") is None:
            raise UserError(f"{target}: git can't create a worktree here. Run `git worktree prune` and try again.")
        _git(target, "reset", "--quiet")
        listed = (_git(root, "ls-files", "-coz", "--exclude-standard") or "").split("\0")
        for name in dict.fromkeys(filter(None, listed)):
            _copy(root / name, target / name)
    else:
        _copy_unversioned(root, target)
    dvc_config.settle_copy(project, target, cache, scm=versioned(root))


def _copy(source: Path, target: Path) -> None:
    """Copy a file; deleted files and nested repositories are skipped."""
    if source.is_symlink() or source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _copy_unversioned(root: Path, target: Path) -> None:
    outs = {str(root / out) for stage in pipeline.read(root) for out in stage.outs}

    def left_out(folder: str, names: list[str]) -> set[str]:
        hidden = {n for n in names if n.startswith(".") and n not in (".dvc", ".dvcignore", ".gitignore")}
        ours = {n for n in names if os.path.join(folder, n) in outs or n in NOT_COPIED}  # noqa: PTH118
        private = {"cache", "tmp", "config.local"} if Path(folder) == root / ".dvc" else set()
        return hidden | ours | (private & set(names))

    shutil.copytree(root, target, symlinks=True, ignore=left_out)


def repair_cache(place: Project, cache: Path | None = None) -> None:
    """Remove damaged objects of DVC's cache, and say which stages' outs have to be made again."""
    for out in cache_repair.remove_damaged(place.root, cache or dvc_config.cache_folder(place.root), place.state):
        print(cache_repair.told(out), file=sys.stderr)


def _seed(project: Project, target: Path, cache: Path) -> None:
    """Copy the newer of the last run's dvc.lock and the checkout's, and check out the outs that it lists."""
    last = project.state / "runs" / "last"
    locks = [path for path in (last / "dvc.lock", project.root / "dvc.lock") if path.is_file() and whole(path)]
    if not locks:
        return
    newest = max(locks, key=lambda path: path.stat().st_mtime)
    for name in ("dvc.lock", *(out for stage in pipeline.read(target) for out in stage.uncached)):
        _copy(newest.parent / name, target / name)
    repair_cache(Project(target, project.state), cache)
    subprocess.run(
        [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", "--allow-missing"],
        cwd=target,
        env=project.environment(),
        capture_output=True,
        check=False,
    )


def _keep_lock(target: Path, last: Path) -> None:
    if not (target / "dvc.lock").is_file():
        return
    shutil.rmtree(last, ignore_errors=True)
    for name in ("dvc.lock", *(out for stage in pipeline.read(target) for out in stage.uncached)):
        _copy(target / name, last / name)


def _prune(root: Path, runs: Path, keep: int) -> None:
    """Remove all but the newest `keep` worktrees."""
    old = sorted(path for path in runs.iterdir() if path.is_dir() and path.name != "last")
    for path in old[: max(0, len(old) - keep)]:
        _git(root, "worktree", "remove", "--force", str(path))
        shutil.rmtree(path, ignore_errors=True)


def run_git(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, without hooks and without the user's own variables of git.

    Raises:
        FileNotFoundError: There is no git.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false", *words],
        cwd=root,
        env=plain | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def _git(root: Path, *words: str) -> str | None:
    """Output of a git command; None if it fails or git is missing."""
    try:
        found = run_git(root, *words)
    except FileNotFoundError:
        return None
    return found.stdout if found.returncode == 0 else None
