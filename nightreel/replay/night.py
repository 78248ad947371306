"""One night of a replay: runs the pipeline on the log as of that night, and scores the result on the next step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import pyarrow.parquet as pq

from nightreel.data.recipe import code_digest, computing_code
from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.orchestration import checkout_flows
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment
from nightreel.orchestration.lock import fence
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import worktree
from nightreel.reader.reader import Reader
from nightreel.replay import instants
from nightreel.replay.next_step import EventLog
from nightreel.replay.night_scores import NightScores, score_night
from nightreel.replay.plan import ReplayPlan
from nightreel.stage import read_json, write_json
from nightreel.store import channels
from nightreel.store.channel_pointer import Pointer
from nightreel.store.fence import run_lock
from nightreel.store.open import open_store

Row = dict[str, Any]


class Diary:
    """Progress listener: writes the stages' output to a file, and reports the current stage."""

    def __init__(self, file: TextIO, progress: Callable[[str], None]) -> None:
        """Take the file, and a function that is called with the name of each stage that begins."""
        self._file = file
        self._progress = progress

    def begin(self, stage: str) -> None:
        """Report a stage that begins."""
        self._progress(stage)

    def line(self, stage: str, text: str) -> None:
        """Write a line of a stage."""
        print(f"{stage:<10} {text}", file=self._file, flush=True)

    def end(self, outcome: Outcome) -> None:
        """Write a stage's outcome."""
        print(f"{outcome.stage:<10} {outcome.how}, {outcome.seconds:.1f} s", file=self._file, flush=True)


def play(
    plan: ReplayPlan, log: EventLog, night: float, before: Row | None, lock: int, progress: Callable[[str], None]
) -> Row:
    """Run and score a night; writes judged.parquet and, last, row.json to its folder.

    Args:
        plan: The replay.
        log: The events of the whole log.
        night: The night's time, epoch seconds.
        before: The row of the night before; None for the first.
        lock: File descriptor of the run lock.
        progress: Called with the current step, in words.

    Returns:
        The night's row. A failed night's row has the error, and the scores of the version that is still served.
    """
    folder, began = plan.of(night), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    progress("writing the log as of that night")
    plan.log.cut(night, plan.cut)
    row: Row = {
        "night": _iso(night),
        "until": _iso(night + plan.step_s),
        "events": plan.log.events_before(night),
        "code": code_digest(plan.place.root, computing_code(plan.place.root)),
    }
    with (folder / "log.txt").open("a", encoding="utf-8") as file:
        row |= _night(plan, night, lock, Diary(file, progress))
    night_s, store = time.monotonic() - began, open_store(str(plan.place.state / "store"))
    progress("scoring the served version")
    channel = plan.settings.snapshot.channel
    pointer = channels.live(store, channel)
    row |= _served(pointer, before, row["night"])
    row["served_label"] = channels.lineage(store, pointer.digest).get("label") if pointer else None
    judged = score_night(log, night, plan.step_s, Reader.open(store.uri, channel=channel) if pointer else None)
    row |= _figures(judged)
    row |= {"seconds": round(night_s, 1), "judging_seconds": round(time.monotonic() - began - night_s, 1)}
    pq.write_table(judged.rows(log, night), folder / "judged.parquet", compression="zstd")
    write_json(folder / "row.json", row)
    return row


def kept(plan: ReplayPlan, night: float) -> Row | None:
    """Return the row of a finished night; None if it is not finished."""
    path = plan.of(night) / "row.json"
    return dict(read_json(path)) if path.exists() else None


def _night(plan: ReplayPlan, night: float, lock: int, diary: Diary) -> Row:
    """Run every stage in a worktree; returns the verdict, or the error."""
    nothing: Row = {
        "decision": "failed",
        "label": None,
        "reason": None,
        "error": None,
        "published": False,
        "published_label": None,
    }
    try:
        with ExitStack() as stack:
            copy = stack.enter_context(
                worktree(plan.place, {**plan.changes, "snapshot.moment": _iso(night)}, plan.folder / "cache")
            )
            _stages(plan.place.root, copy, lock, diary)
            verdict = read_json(copy.root / "data" / "evaluate" / "verdict.json")
            receipt = read_json(copy.root / "data" / "publish" / "receipt.json")
    except UserError as error:
        diary.line("failed", str(error))
        return nothing | {"error": str(error), "reason": str(error).splitlines()[0]}
    published = bool(receipt["published"])
    return nothing | {
        "decision": verdict["decision"],
        "label": verdict["label"],
        "reason": verdict["sentence"],
        "published": published,
        "published_label": receipt["label"] if published else None,
    }


def _stages(root: Path, copy: Project, lock: int, diary: Diary) -> None:
    """Run the stages as a Prefect flow in this process, on the replay's server."""
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request

    place = StageEnvironment(copy.root, copy.environment(fence(run_lock(copy.state)) | {history.VARIABLE: ""}), lock)
    night = NightlyRun(pipeline.read(copy.root), place, Request(), diary)
    checkout_flows.load(root, "in_process").run("replayed night", lambda _: night.run())


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
