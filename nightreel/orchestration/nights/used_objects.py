"""Finds what of DVC's cache a checkout needs besides its nights: its own files, its worktrees, its other commits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nightreel.orchestration.dvc.cache_sweep import names_in
from nightreel.orchestration.nights.branch_log import REF
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import NOT_COPIED, run_git

NAMING = ("dvc.lock", "*.dvc", "**/dvc.lock", "**/*.dvc")
"""Files that name objects of the cache, as git's patterns."""
COMMITS = 200  # a call of git


def used_objects(home: Project) -> frozenset[str]:
    """Names of the objects that the checkout, its worktrees, its last run and its commits outside the nights' branch
    name."""
    folders = [home.root, home.state / "runs" / "last", *_worktrees(home)]
    found = {name for folder in folders for file in _files(folder) for name in names_in(_text(file))}
    return frozenset(found | (_in_commits(home.root) if _in_git(home.root) else set()))


def _in_git(root: Path) -> bool:
    """Whether git has the checkout, also as a part of another repository or as a submodule."""
    try:
        return run_git(root, "rev-parse", "--is-inside-work-tree").returncode == 0
    except FileNotFoundError:  # there is no git
        return False


def _worktrees(home: Project) -> list[Path]:
    """Of runs, which are kept for inspection, and those that the user has made."""
    listed = run_git(home.root, "worktree", "list", "--porcelain").stdout if _in_git(home.root) else ""
    of_git = [Path(line.removeprefix("worktree ")) for line in listed.splitlines() if line.startswith("worktree ")]
    runs = home.state / "runs"
    return [*of_git, *(path for path in (runs.iterdir() if runs.exists() else ()) if path.is_dir())]


def _files(folder: Path) -> Iterator[Path]:
    for where, names, files in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".") and name not in NOT_COPIED]
        yield from (Path(where) / name for name in files if name == "dvc.lock" or name.endswith(".dvc"))


def _in_commits(root: Path) -> set[str]:
    """Names in all commits that a branch, tag or stash reaches, but for the nights' own branch."""
    listed = run_git(root, "rev-list", f"--exclude={REF}", "--all", "--full-history", "--", *_magic())
    commits, found = listed.stdout.split(), set[str]()
    for start in range(0, len(commits), COMMITS):
        some = commits[start : start + COMMITS]
        lines = run_git(root, "grep", "-h", "-I", "-E", r"md5: [0-9a-f]{32}", *some, "--", *_magic())
        found |= names_in(lines.stdout)
    return found


def _magic() -> list[str]:
    return [f":(top,glob){pattern}" for pattern in NAMING]


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
