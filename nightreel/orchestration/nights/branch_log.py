"""Reads the branch of the nights: this checkout's own, and those that came along with a clone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightreel.orchestration.worktree import run_git

BRANCH = "nightreel/nights"
REF = f"refs/heads/{BRANCH}"
FETCHED = f"refs/remotes/*/{BRANCH}"
_FIELDS = ("%H", "%(trailers:key=Night,valueonly,separator=)", "%(trailers:key=Version,valueonly,separator=)")
_END = "\x00"


@dataclass(frozen=True)
class CommittedNight:
    """A commit of the branch. night: the night's id in the history; version: what it published or would have, if
    anything."""

    commit: str
    night: str
    version: str | None


def committed(root: Path, *refs: str) -> list[CommittedNight]:
    """The committed nights, the earliest first.

    Args:
        root: The checkout.
        refs: Patterns of `git for-each-ref`; default: the branch here and in every remote.
    """
    found = run_git(root, "for-each-ref", "--format=%(refname)", *(refs or (REF, FETCHED)))
    names = found.stdout.split()
    if found.returncode or not names:
        return []
    log = run_git(root, "log", "--reverse", "-z", f"--format={'%x1f'.join(_FIELDS)}", *names, "--")
    rows = [row.split("\x1f") for row in log.stdout.split(_END) if row]
    return [CommittedNight(commit, night.strip(), version.strip() or None) for commit, night, version in rows]


def commit_of(root: Path, version: str) -> str | None:
    """The commit of the earliest night that made a version; None if there is none."""
    return next((each.commit for each in committed(root) if each.version == version), None)
