"""Takes commits out of the branch of the nights: the others follow each other as before, with the same files and words.

The ids of the commits after a gap change. Git's reflog remembers the former branch for as long as it is set to.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nightreel.errors import UserError
from nightreel.orchestration.nights.branch_log import REF
from nightreel.orchestration.worktree import run_git

FORMAT = "%H%x1f%P%x1f%T%x1f%an%x1f%ae%x1f%ad%x1f%cn%x1f%ce%x1f%cd%x1f%B"
TRIES = 5  # a night in another state directory may commit at the same time
Moved = dict[str | None, str | None]
"""Former commit → its successor, None for one that was taken out; commits that stay as they are are not in it."""


@dataclass(frozen=True)
class _Commit:
    id: str
    parents: str
    tree: str
    author_name: str
    author_email: str
    author_date: str
    committer_name: str
    committer_email: str
    committer_date: str
    message: str

    @property
    def signature(self) -> dict[str, str]:
        """Git's environment variables for the same author, committer and dates."""
        return {
            "GIT_AUTHOR_NAME": self.author_name,
            "GIT_AUTHOR_EMAIL": self.author_email,
            "GIT_AUTHOR_DATE": f"@{self.author_date}",
            "GIT_COMMITTER_NAME": self.committer_name,
            "GIT_COMMITTER_EMAIL": self.committer_email,
            "GIT_COMMITTER_DATE": f"@{self.committer_date}",
        }


def without(root: Path, gone: Collection[str]) -> Moved:
    """Take commits out of the branch.

    Args:
        root: The checkout.
        gone: Ids of the commits.

    Returns:
        What became of the commits that are not as before.

    Raises:
        UserError: Git failed, or the branch changes all the time.
    """
    for _ in range(TRIES):
        commits = _read(root)
        if not commits:
            return {}
        moved, head = _chained(root, commits, gone)
        before = commits[-1].id
        words = ["-m", "gc: nights beyond the retention", REF, head, before] if head else ["-d", REF, before]
        if run_git(root, "update-ref", *words).returncode == 0:
            return moved
    raise UserError(f"{REF}: can't be changed, because something else changes it all the time. Try again later.")


def _chained(root: Path, commits: list[_Commit], gone: Collection[str]) -> tuple[Moved, str | None]:
    moved, head = Moved(), None
    for each in commits:
        if each.id in gone:
            moved[each.id] = None
        elif each.parents == (head or ""):
            head = each.id
        else:
            parent = ("-p", head) if head else ()
            head = _git(root, "commit-tree", each.tree, *parent, "-m", each.message, **each.signature)
            moved[each.id] = head
    return moved, head


def _read(root: Path) -> list[_Commit]:
    """The branch's commits, the earliest first."""
    found = run_git(root, "log", "--reverse", "--first-parent", "-z", "--date=raw", f"--format={FORMAT}", REF, "--")
    return [_Commit(*row.split("\x1f")) for row in found.stdout.split("\x00") if row]


def _git(root: Path, *words: str, **variables: str) -> str:
    done = run_git(root, *words, **variables)
    if done.returncode:
        raise UserError(f"git {words[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout.strip()
