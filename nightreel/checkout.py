"""Finds the checkout that a folder belongs to, in every layout of git and without git."""

from __future__ import annotations

import os
from pathlib import Path

STATE = ".nightreel"


def find(start: Path) -> Path | None:
    """The nearest folder, here or above, that holds dvc.yaml and .dvc; None if there is none."""
    for folder in (start, *start.parents):
        if is_checkout(folder):
            return folder
    return None


def is_checkout(folder: Path) -> bool:
    """Whether a folder holds dvc.yaml and .dvc; one that may not be read is none."""
    return os.access(folder / "dvc.yaml", os.F_OK) and os.access(folder / ".dvc", os.F_OK)


def state_of(root: Path) -> Path:
    """The state directory of a checkout: beside its dvc.yaml.

    A linked git worktree has that of the main checkout, so that both serve the same versions. A run's own copy has
    that of its run.
    """
    if root.parent.name == "runs" and root.parent.parent.name == STATE:
        return root.parent.parent
    return _main_checkout(root) / STATE


def former_state(root: Path) -> Path | None:
    """Where releases before 0.2 put the state of a checkout that is no repository of its own, if it is still there."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        if not git.exists():
            continue
        place = folder
        if git.is_file():  # a submodule: its git directory is in the outer repository's
            place = (folder / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve().parent
        former = place / STATE
        return former if place != root and not is_checkout(place) and former.is_dir() else None
    return None


def above(start: Path) -> Path:
    """Outside a checkout: the state directory that this user made here or above, or else the one to make here."""
    for folder in (start, *start.parents):
        known = folder / STATE
        if known.is_dir() and known.stat().st_uid == os.getuid():
            return known
    return start / STATE


def _main_checkout(root: Path) -> Path:
    """The counterpart of a linked worktree's folder in the main checkout; the folder itself if there is none.

    Git's files are read without git, which may be missing, or refuse the folder of another user. A submodule is a
    checkout of its own.
    """
    for folder in (root, *root.parents):
        git = folder / ".git"
        if git.is_file():
            directory = (folder / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()
            common = directory / "commondir"
            if not common.is_file():
                return root
            top = (directory / common.read_text("utf-8").strip()).resolve().parent
            counterpart = top / root.relative_to(folder)
            return counterpart if is_checkout(counterpart) else root
        if git.exists():
            return root
    return root
