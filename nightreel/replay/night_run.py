"""Lets one night of a replay happen: the stages, its trouble, its history, and what its status says afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.conclusion import conclusion, outcome_of
from nightreel.orchestration import checkout_flows
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment
from nightreel.orchestration.lock import fence
from nightreel.orchestration.nights.recorder import failure, stage_times
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import worktree
from nightreel.replay import instants, night_history
from nightreel.replay.night_history import ReplayedNight
from nightreel.replay.plan import ReplayPlan
from nightreel.replay.troubles.interference import StageKiller, stages_killed, store_away
from nightreel.replay.troubles.kinds import KilledStage, NoNight, StoreDown
from nightreel.stage import read_json
from nightreel.store.fence import run_lock

if TYPE_CHECKING:
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun

Row = dict[str, Any]
Accounts = dict[str, dict[str, int]]
NOTHING: Row = {
    "decision": None,
    "outcome": None,
    "label": None,
    "reason": None,
    "error": None,
    "published": False,
    "published_label": None,
}
"""The fields of a night that published nothing."""
MISSED = {"decision": "missed", "outcome": "missed", "reason": "the night did not begin, as the script says"}
T = TypeVar("T")


@dataclass(frozen=True)
class Diary:
    """Progress listener: writes the stages' output to a file, and reports the current stage.

    file: the night's log; progress: called with the name of each stage that begins; killers: told of it, too.
    """

    file: TextIO
    progress: Callable[[str], None]
    killers: Sequence[StageKiller] = ()

    def begin(self, stage: str) -> None:
        """Report a stage that begins."""
        self.progress(stage)
        for killer in self.killers:
            killer.begins(stage)

    def line(self, stage: str, text: str) -> None:
        """Write a line of a stage."""
        print(f"{stage:<10} {text}", file=self.file, flush=True)

    def end(self, outcome: Outcome) -> None:
        """Write a stage's outcome."""
        print(f"{outcome.stage:<10} {outcome.how}, {outcome.seconds:.1f} s", file=self.file, flush=True)


@dataclass(frozen=True)
class RunResult:
    """What came of a night.

    Attributes:
        row: Fields of its row.
        accounts: Rows by table as validated; None if the night did not come so far.
        alerts: What its status said some minutes after its end.
        beside_seconds: How long `NightRun.beside` took, which is no part of the night.
    """

    row: Row
    accounts: Accounts | None = None
    alerts: Sequence[Alert] = ()
    beside_seconds: float = 0.0


@dataclass(frozen=True)
class NightRun:
    """One night.

    Attributes:
        plan: The replay.
        night: Its time, epoch seconds.
        lock: File descriptor of the run lock.
        live: Version that is live before it; None for none.
        beside: Called after a night whose stages all succeeded, with the worktree in which they ran and the row so far.
    """

    plan: ReplayPlan
    night: float
    lock: int
    live: str | None
    beside: Callable[[Project, Row, Diary], None] = lambda *_: None

    def happen(self, diary: Diary) -> RunResult:
        """Run the night with its trouble, and take its status."""
        plan, state, ended = self.plan, self.plan.place.state, self.night
        night_history.plan_of(state, self.night)
        with store_away(Path(plan.store), away=bool(self._troubles(StoreDown))):
            done = RunResult(NOTHING | MISSED)
            if not self._troubles(NoNight):
                recorded = night_history.begin(state, self.night)
                with stages_killed(pipeline.read(plan.place.root), self._troubles(KilledStage)) as killers:
                    done = self._run(recorded, replace(diary, killers=killers))
                ended = recorded.ended
            found = night_history.look(state, plan.store, plan.settings, ended + night_history.LOOK_AFTER_S)
        return replace(done, alerts=found.alerts)

    def _troubles(self, kind: type[T]) -> list[T]:
        """Those of a kind that the script has for this night."""
        scripted = self.plan.script.on(self.plan.nights.index(self.night) + 1) if self.plan.script else None
        return [trouble for trouble in scripted.troubles if isinstance(trouble, kind)] if scripted else []

    def _run(self, recorded: ReplayedNight, diary: Diary) -> RunResult:
        """Run every stage in a worktree; returns the verdict, or the error."""
        plan, accounts = self.plan, None
        with ExitStack() as stack:
            try:
                changes = {**plan.changes, "snapshot.moment": instants.iso(self.night)}
                copy = stack.enter_context(worktree(plan.place, changes, plan.folder / "cache"))
                run = _stages(copy, recorded, self.lock, diary, plan.store)
                try:
                    checkout_flows.load(plan.place.root, "in_process").run("replayed night", lambda _: run.run())
                finally:
                    if any(each.stage == "validate" for each in run.outcomes):
                        accounts = read_json(copy.root / "data" / "validate" / "report.json")["tables"]
                facts = conclusion(copy.root, copy.state, stage_times(run.outcomes))
                verdict = read_json(copy.root / "data" / "evaluate" / "verdict.json")
                receipt = read_json(copy.root / "data" / "publish" / "receipt.json")
            except UserError as error:
                diary.line("failed", str(error))
                return RunResult(_failed(recorded, error), accounts)
            # A night that was killed after it had published finds its own version: it did move the channel.
            outcome = outcome_of(receipt, moved=receipt["digest"] != self.live)
            recorded.finish(facts | {"outcome": outcome})
            row, ended = _row(outcome, verdict, receipt), time.monotonic()
            self.beside(copy, row, diary)
            return RunResult(row, accounts, beside_seconds=time.monotonic() - ended)


def _stages(copy: Project, recorded: ReplayedNight, lock: int, diary: Diary, store: str) -> NightlyRun:
    """The stages of a worktree, which publish to a store, to be run as a Prefect flow in this process."""
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request

    given = {history.VARIABLE: str(recorded.file), "NIGHTREEL_STORE": store}
    environment = copy.environment(fence(run_lock(copy.state)) | given)
    return NightlyRun(pipeline.read(copy.root), StageEnvironment(copy.root, environment, lock), Request(), diary)


def _failed(recorded: ReplayedNight, error: UserError) -> Row:
    recorded.finish(failure(error))
    failed = {"decision": "failed", "outcome": "failed"}
    return NOTHING | failed | {"error": str(error), "reason": str(error).splitlines()[0]}


def _row(outcome: str, verdict: Row, receipt: Row) -> Row:
    published = bool(receipt["published"])
    return NOTHING | {
        "decision": verdict["decision"],
        "outcome": outcome,
        "label": verdict["label"],
        "reason": verdict["sentence"],
        "published": published,
        "published_label": receipt["label"] if published else None,
    }
