"""Which nights are kept: their commits, and with them their data in DVC's cache.

A night is kept if it made a version that the store keeps, so that this can be made again; and, as versions are, if it
is among the newest or younger than some days. So a commit of the branch is a night whose data are there. The exception
are nights with the data of somebody who was erased since: they can't be made again, and only their commits are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightreel.monitoring import history
from nightreel.monitoring.night import Night
from nightreel.orchestration.dvc.cache_sweep import names_in
from nightreel.orchestration.nights import rewriting
from nightreel.orchestration.nights.branch_log import REF, CommittedNight, committed
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import run_git, versioned
from nightreel.store.retention import Keep

DAY_S = 86_400.0


@dataclass(frozen=True)
class NightsPlan:
    """The nights whose files are there, the earliest first. kept: those that stay, by id; dropped: the others."""

    nights: Sequence[CommittedNight]
    kept: Mapping[str, str]

    @property
    def dropped(self) -> list[str]:
        """Ids of the nights whose commits and data go."""
        return [each.night for each in self.nights if each.night not in self.kept]


def plan(home: Project, keep: Keep, versions: Collection[str], now: float) -> NightsPlan:
    """Decide which nights stay.

    Args:
        home: The checkout and its state directory.
        keep: As for versions: the newest so many, and those younger than so many days.
        versions: Digests that the store keeps.
        now: Epoch seconds.
    """
    known = {night.id: night for night in history.nights(home.state)}
    nights = committed(home.root, REF) if versioned(home.root) else _without_git(home.state, known)
    kept = {each.night: "of another state directory" for each in nights if each.night not in known}
    own = [each for each in nights if each.night in known]
    makers = {each.version: each.night for each in reversed(own) if each.version in versions}
    for version, night in makers.items():
        kept[night] = f"made {str(version)[:12]}, which the store keeps"
    for each in own[len(own) - min(keep.versions, len(own)) :]:
        kept.setdefault(each.night, f"among the newest {keep.versions}")
    for each in own:
        if now - known[each.night].began < keep.days * DAY_S:
            kept.setdefault(each.night, "young")
    return NightsPlan(nights, kept)


def lock_of(home: Project, night: CommittedNight) -> str:
    """The dvc.lock of a night; empty if it left none."""
    if night.commit:
        return run_git(home.root, "show", f"{night.commit}:dvc.lock").stdout
    path = home.state / history.FOLDER / history.FILES / night.night / "dvc.lock"
    return path.read_text("utf-8") if path.exists() else ""


def objects_of(home: Project, planned: NightsPlan, without: Collection[str]) -> frozenset[str]:
    """Names of the objects in DVC's cache that the kept nights need, but for those of the nights `without`."""
    nights = [each for each in planned.nights if each.night in planned.kept and each.night not in without]
    return frozenset(name for each in nights for name in names_in(lock_of(home, each)))


def drop(home: Project, planned: NightsPlan) -> None:
    """Remove the commits or files of the nights that go; their entries in the history stay."""
    if not planned.dropped:
        return
    if not versioned(home.root):
        for name in planned.dropped:
            shutil.rmtree(home.state / history.FOLDER / history.FILES / name, ignore_errors=True)
        return
    gone = {each.commit for each in planned.nights if each.night not in planned.kept}
    moved = rewriting.without(home.root, gone)
    for night in history.nights(home.state):
        if night.commit in moved:
            history.write(home.state, night.model_copy(update={"commit": moved[night.commit]}))


def _without_git(state: Path, known: Mapping[str, Night]) -> list[CommittedNight]:
    folder = state / history.FOLDER / history.FILES
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return [CommittedNight("", name, known[name].version if name in known else None) for name in names]
