"""One night of a replay: runs the pipeline on the log as of that night, and scores the result on the next step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow.parquet as pq

from nightreel.data.recipe import code_digest, computing_code
from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.conclusion import conclusion, outcome_of
from nightreel.orchestration import checkout_flows
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment, StageFailed
from nightreel.orchestration.lock import fence
from nightreel.orchestration.nights.recorder import stage_times
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import worktree
from nightreel.reader.reader import Reader
from nightreel.replay import instants, night_history
from nightreel.replay.next_step import EventLog
from nightreel.replay.night_history import ReplayedNight
from nightreel.replay.night_scores import NightScores, score_night
from nightreel.replay.plan import ReplayPlan
from nightreel.replay.troubles import aftermath
from nightreel.replay.troubles.aftermath import Lost, came_back, gone, lost_rows, without_withdrawn
from nightreel.replay.troubles.delivery import deliver
from nightreel.replay.troubles.interference import StageKiller, stages_killed, store_away
from nightreel.replay.troubles.kinds import KilledStage, NoNight, StoreDown
from nightreel.stage import read_json, write_json
from nightreel.store import channels
from nightreel.store.channel_pointer import Pointer
from nightreel.store.fence import run_lock
from nightreel.store.open import open_store

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
    """What came of a night. row: fields of its row; accounts: rows by table as validated, None before."""

    row: Row
    accounts: Accounts | None = None


def play(
    plan: ReplayPlan, log: EventLog, night: float, rows: Sequence[Row], lock: int, progress: Callable[[str], None]
) -> Row:
    """Run and score a night; writes judged.parquet and, last, row.json to its folder.

    Args:
        plan: The replay.
        log: The events of the whole log.
        night: The night's time, epoch seconds.
        rows: The rows of the nights before.
        lock: File descriptor of the run lock.
        progress: Called with the current step, in words.

    Returns:
        The night's row. A failed night's row has the error, and the scores of the version that is still served.
    """
    folder, number, began = plan.of(night), plan.nights.index(night) + 1, time.monotonic()
    before = rows[-1] if rows else None
    folder.mkdir(parents=True, exist_ok=True)
    progress("writing the log as of that night")
    delivery = deliver(plan.log, plan.nights, number, plan.script)
    delivery.write(plan.cut, plan.log.source.terms)
    row: Row = {
        "night": _iso(night),
        "until": _iso(night + plan.step_s),
        "events": delivery.rows("events"),
        "code": code_digest(plan.place.root, computing_code(plan.place.root)),
    }
    with (folder / "log.txt").open("a", encoding="utf-8") as file:
        done, told = _happened(plan, night, number, before, lock, Diary(file, progress))
    night_s, store = time.monotonic() - began, open_store(plan.store)
    row |= {**done.row, "told": [alert.text for alert in told]}
    progress("scoring the served version")
    channel = plan.settings.snapshot.channel
    pointer = channels.live(store, channel)
    row |= _served(pointer, before, row["night"])
    row["served_label"] = channels.lineage(store, pointer.digest).get("label") if pointer else None
    reader = Reader.open(store.uri, channel=channel) if pointer else None
    judged = score_night(without_withdrawn(log, delivery, plan.key), night, plan.step_s, reader)
    row |= _figures(judged)
    if plan.script is not None:
        live = [row["version"], *(each["version"] for each in rows)]
        lost = Lost(
            rows=lost_rows(delivery, done.accounts),
            withdrawn=came_back(reader, delivery, plan.key) if reader else 0,
            versions=gone(store, filter(None, live)),
        )
        row |= aftermath.judged(plan.script, number, row["outcome"], told, lost)
    row |= {"seconds": round(night_s, 1), "judging_seconds": round(time.monotonic() - began - night_s, 1)}
    pq.write_table(judged.rows(log, night), folder / "judged.parquet", compression="zstd")
    write_json(folder / "row.json", row)
    return row


def kept(plan: ReplayPlan, night: float) -> Row | None:
    """Return the row of a finished night; None if it is not finished."""
    path = plan.of(night) / "row.json"
    return dict(read_json(path)) if path.exists() else None


def _happened(
    plan: ReplayPlan, night: float, number: int, before: Row | None, lock: int, diary: Diary
) -> tuple[RunResult, Sequence[Alert]]:
    """Let the night run, with its trouble; returns what came of it, and what its status said some minutes later."""
    scripted = plan.script.on(number) if plan.script else None
    troubles = scripted.troubles if scripted else ()
    night_history.plan_of(plan.place.state, night)
    with store_away(Path(plan.store), away=any(isinstance(each, StoreDown) for each in troubles)):
        ended, done = night, RunResult(NOTHING | {"decision": "missed", "outcome": "missed"})
        if not any(isinstance(each, NoNight) for each in troubles):
            recorded = night_history.begin(plan.place.state, night)
            kills = [each for each in troubles if isinstance(each, KilledStage)]
            with stages_killed(pipeline.read(plan.place.root), kills) as killers:
                done = _night(plan, recorded, before, lock, replace(diary, killers=killers))
            ended = recorded.ended
        found = night_history.look(plan.place.state, plan.store, plan.settings, ended + night_history.LOOK_AFTER_S)
    return done, found.alerts


def _night(plan: ReplayPlan, recorded: ReplayedNight, before: Row | None, lock: int, diary: Diary) -> RunResult:
    """Run every stage in a worktree; returns the verdict, or the error."""
    accounts: Accounts | None = None
    try:
        with ExitStack() as stack:
            changes = {**plan.changes, "snapshot.moment": _iso(recorded.moment)}
            copy = stack.enter_context(worktree(plan.place, changes, plan.folder / "cache"))
            run = _run(copy, recorded, lock, diary)
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
        stage = error.stage if isinstance(error, StageFailed) else None
        recorded.finish({"outcome": "failed", "reason": str(error), "failed_stage": stage})
        failed = {"decision": "failed", "outcome": "failed"}
        return RunResult(NOTHING | failed | {"error": str(error), "reason": str(error).splitlines()[0]}, accounts)
    # A night that was killed after it had published finds its own version: it did move the channel.
    outcome = outcome_of(receipt, moved=before is None or receipt["digest"] != before["version"])
    recorded.finish(facts | {"outcome": outcome})
    published = bool(receipt["published"])
    row = {
        "decision": verdict["decision"],
        "outcome": outcome,
        "label": verdict["label"],
        "reason": verdict["sentence"],
        "published": published,
        "published_label": receipt["label"] if published else None,
    }
    return RunResult(NOTHING | row, accounts)


def _run(copy: Project, recorded: ReplayedNight, lock: int, diary: Diary) -> NightlyRun:
    """The stages as a Prefect flow in this process, on the replay's server."""
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request

    environment = copy.environment(fence(run_lock(copy.state)) | {history.VARIABLE: str(recorded.file)})
    return NightlyRun(pipeline.read(copy.root), StageEnvironment(copy.root, environment, lock), Request(), diary)


def _served(pointer: Pointer | None, before: Row | None, night: str) -> Row:
    """The version that is served after the night, and the night on which it was published."""
    if pointer is None:
        return {"version": None, "since": None}
    same = before is not None and before["version"] == pointer.digest
    return {"version": pointer.digest, "since": before["since"] if same and before else night}


def _figures(judged: NightScores) -> Row:
    return {
        "users": len(judged.step),
        "newcomers": int(judged.step.newcomers.sum()),
        **judged.means(),
        "half_life_days": _finite(judged.half_life),
        "ease_half_life_days": _finite(judged.chosen.half_life),
        "ease_regularisation": judged.chosen.regularisation,
        "ease_decay": judged.chosen.decay,
        "ease_weight": judged.chosen.weight,
    }


def _finite(days: float) -> float | None:
    """A half-life in days; None for infinity, which JSON can't represent."""
    return days if math.isfinite(days) else None


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def day(text: str) -> str:
    """Format a time of a row."""
    return instants.format_time(datetime.fromisoformat(text).timestamp())
