"""Writes a run of the pipeline into the history of nights, and tells who asked for it of a bad one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nightreel.errors import UserError
from nightreel.monitoring import history, notifications
from nightreel.monitoring.conclusion import conclusion, source_facts
from nightreel.monitoring.night import Night, StageTime, Trigger
from nightreel.orchestration.dvc.stage_run import Outcome, StageFailed
from nightreel.orchestration.live_version import channel_of
from nightreel.orchestration.nights import commits
from nightreel.orchestration.nights.branch_log import BRANCH
from nightreel.orchestration.project import Project

LOG = logging.getLogger(__name__)


class NightRecorder:
    """One night's entry. It never ends a night: what can't be written is logged."""

    def __init__(self, home: Project, place: Project, trigger: Trigger, flow_run: str | None) -> None:
        """Take the checkout, where the night runs (it or its worktree), who started it and Prefect's run, if known."""
        self._home = home
        self._place = place.root
        self._channel = channel_of(place)
        self._state = home.state
        self._night = _begun(home.state, trigger, flow_run)

    @property
    def file(self) -> Path | None:
        """The night's file; None if it can't be written."""
        return history.path(self._state, self._night) if self._night else None

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which stages know their night."""
        return {history.VARIABLE: str(self.file)} if self.file else {}

    def belongs_to(self, flow_run: str) -> None:
        """Write which of Prefect's runs it is, where that was not known at its begin."""
        if self._night is not None:
            with contextlib.suppress(OSError):
                self._night = history.belongs_to(self._state, self._night, flow_run)

    def succeeded(self, outcomes: Sequence[Outcome]) -> Night | None:
        """Write what came of it, and return it; None if it can't be written."""
        return self._finish(lambda: conclusion(self._place, self._state, stage_times(outcomes)))

    def failed(self, error: UserError) -> None:
        """Write that it failed, and why."""
        why = failure(error) | {"channel": self._channel}
        self._finish(lambda: (source_facts(self._place) if why["failed_stage"] != "snapshot" else {}) | why)

    def stopped(self, reason: str) -> None:
        """Write that it was ended from outside."""
        self._finish(lambda: {"outcome": "stopped", "reason": reason})

    def _finish(self, facts: Callable[[], dict[str, Any]]) -> Night | None:
        """Write the end, keep the files, and tell of a bad night; what ends a night first is its end."""
        night, self._night = self._night, None
        if night is None:
            return None
        try:
            done = history.finish(self._state, night, facts())
            if done.outcome != "stopped":
                done = _committed(self._home, done, self._place)
            for line in notifications.after_night(self._state, done):
                LOG.warning("%s", line)
        except Exception as error:  # whatever is wrong with its history, the night itself is not affected
            LOG.warning("the history of nights can't be written: %s: %s", type(error).__name__, error)
            return None
        return done


@contextmanager
def recorded(home: Project, place: Project, trigger: Trigger, flow_run: str | None = None) -> Iterator[NightRecorder]:
    """The entry of the night that runs in this block: a UserError is written as failed, another end from outside as
    stopped."""
    night = NightRecorder(home, place, trigger, flow_run)
    try:
        yield night
    except UserError as error:
        night.failed(error)
        raise
    except BaseException as error:
        night.stopped(
            "Stopped by a person." if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        )
        raise


def failure(error: UserError) -> dict[str, Any]:
    """That a night failed, where and why, for the history."""
    stage = error.stage if isinstance(error, StageFailed) else None
    return {"outcome": "failed", "reason": str(error), "failed_stage": stage}


def stage_times(outcomes: Sequence[Outcome]) -> list[StageTime]:
    """How each stage ended, for the history."""
    return [StageTime(stage=each.stage, how=each.how, seconds=round(each.seconds, 1)) for each in outcomes]


def _committed(home: Project, night: Night, place: Path) -> Night:
    """The night with its commit, if its files can be kept."""
    try:
        return commits.keep_with(home.root, home.state, night, place)
    except (UserError, OSError) as error:
        LOG.warning("the night's files can't be kept in %s (%s); the night itself is not affected", BRANCH, error)
        return night


def _begun(state: Path, trigger: Trigger, flow_run: str | None) -> Night | None:
    try:
        return history.begin(state, trigger, flow_run=flow_run)
    except OSError as error:
        LOG.warning("%s: the history of nights can't be written (%s)", state / history.FOLDER, error.strerror)
        return None
