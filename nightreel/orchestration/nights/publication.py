"""Publishes what an earlier night made, from its commit and DVC's cache, without training anything again.

For a dry run that turned out well, or a night whose last stages failed, for instance because the store was down. What
is live must still be what that night was compared with; the stage `publish` refuses it otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.monitoring.night import Night
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.nights import branch_log
from nightreel.orchestration.nights.branch_log import BRANCH, CommittedNight
from nightreel.orchestration.nights.erased_since import require_nobody_erased
from nightreel.orchestration.nights.night_data import fetch
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import at_commit, versioned
from nightreel.store.backends.base import Store

STAGES = ("publish", "record")


@contextmanager
def at_night(home: Project, store: Store, night: str) -> Iterator[Project]:
    """Check out a night with all that it made, ready for its last stages.

    Args:
        home: The checkout and its state directory.
        store: Where it will be published.
        night: Its id, as in `nightreel nights`; empty: the last one that made a version.

    Raises:
        UserError: There is no such night, its data are gone, or somebody in them was erased since.
    """
    found = _chosen(home, night)
    target = home.state / "runs" / f"{time.strftime('%Y%m%d-%H%M%S')}-publish"
    target.parent.mkdir(parents=True, exist_ok=True)
    with at_commit(home, found.commit, target):
        stages = pipeline.read(target)
        fetch(home, target, [out for stage in stages if stage.name not in STAGES for out in stage.cached])
        require_nobody_erased(store, target, f"night {found.night}")
        overrides.write(target / "params.yaml", {"publish.dry_run": False})
        yield Project(target, home.state)


def _chosen(home: Project, night: str) -> CommittedNight:
    entries = {each.id: each for each in history.nights(home.state)}
    nights = branch_log.committed(home.root, branch_log.REF) if versioned(home.root) else []
    whole = [each for each in nights if each.night in entries and _made_a_version(entries[each.night])]
    fitting = [each for each in whole if night in ("", each.night)]
    if not fitting:
        wanted = f"night {night}" if night else "a night that made a version"
        raise UserError(
            f"{wanted}: can't be published: it made no version, or the branch {BRANCH} has lost it. Name "
            "another one of `nightreel nights --json`."
        )
    return fitting[-1]


def _made_a_version(night: Night) -> bool:
    """Whether its stages came as far as the last ones."""
    return night.version is not None or night.failed_stage in STAGES
