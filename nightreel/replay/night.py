"""One night of a replay: runs the pipeline on the log as of that night, and scores the result on the next step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import pyarrow.parquet as pq

from nightreel.data.recipe import code_digest, computing_code
from nightreel.reader.reader import Reader
from nightreel.replay import instants
from nightreel.replay.alternatives.bundles import Alternatives
from nightreel.replay.next_step import EventLog
from nightreel.replay.night_run import Diary, NightRun, Row, RunResult
from nightreel.replay.night_scores import NightScores, score_night
from nightreel.replay.plan import ReplayPlan
from nightreel.replay.troubles import aftermath
from nightreel.replay.troubles.aftermath import Lost, came_back, gone, lost_rows, without_withdrawn
from nightreel.replay.troubles.delivery import Delivery, deliver
from nightreel.stage import read_json, write_json
from nightreel.store import channels
from nightreel.store.backends.base import Store
from nightreel.store.channel_pointer import Pointer
from nightreel.store.open import open_store


def play(
    plan: ReplayPlan, log: EventLog, night: float, rows: Sequence[Row], lock: int, progress: Callable[[str], None]
) -> Row:
    """Run and score a night; writes judged.parquet, item_reach.parquet (if something is served) and, last, row.json to
    its folder.

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
        "night": instants.iso(night),
        "until": instants.iso(night + plan.step_s),
        "events": delivery.rows("events"),
        "code": code_digest(plan.place.root, computing_code(plan.place.root)),
    }
    live, alternatives = before["version"] if before else None, Alternatives(plan, lock)
    alternatives.forget_candidate()
    with (folder / "log.txt").open("a", encoding="utf-8") as file:
        done = NightRun(plan, night, lock, live, alternatives.train).happen(Diary(file, progress))
    ran = time.monotonic()
    row |= {**done.row, "told": [alert.text for alert in done.alerts]}
    progress("scoring the served version")
    channel, store = plan.settings.snapshot.channel, open_store(plan.store)
    pointer = channels.live(store, channel)
    row |= _served(pointer, before, row["night"])
    row["served_label"] = channels.lineage(store, pointer.digest).get("label") if pointer else None
    reader = Reader.open(store.uri, channel=channel) if pointer else None
    replaced, known = _replaced(store, channel, live, pointer), without_withdrawn(log, delivery, plan.key)
    others = alternatives.readers(reader)
    judged = score_night(known, night, plan.step_s, reader, replaced, others, first=plan.nights[0])
    row |= _figures(judged) | _as_scripted(plan, delivery, done, [*rows, row], reader)
    row |= {
        "seconds": round(ran - began - done.beside_seconds, 1),
        "alternatives_seconds": round(done.beside_seconds, 1),
        "judging_seconds": round(time.monotonic() - ran, 1),
    }
    pq.write_table(judged.rows(log, night), folder / "judged.parquet", compression="zstd")
    if judged.reach is not None:
        pq.write_table(judged.reach, folder / "item_reach.parquet", compression="zstd")
    write_json(folder / "row.json", row)
    return row


def kept(plan: ReplayPlan, night: float) -> Row | None:
    """Return the row of a finished night; None if it is not finished."""
    path = plan.of(night) / "row.json"
    return dict(read_json(path)) if path.exists() else None


def _as_scripted(
    plan: ReplayPlan, delivery: Delivery, done: RunResult, rows: Sequence[Row], reader: Reader | None
) -> Row:
    """The fields about trouble; empty without a script. rows: up to this night's."""
    if plan.script is None:
        return {}
    published = {row["version"] for row in rows if row["version"]}
    lost = Lost(
        rows=lost_rows(delivery, done.accounts),
        withdrawn=came_back(reader, delivery, plan.key) if reader else 0,
        versions=gone(open_store(plan.store), published),
    )
    return aftermath.judged(plan.script, len(rows), rows[-1]["outcome"], done.alerts, lost)


def _served(pointer: Pointer | None, before: Row | None, night: str) -> Row:
    """The version that is served after the night, and the night on which it was published."""
    if pointer is None:
        return {"version": None, "since": None}
    same = before is not None and before["version"] == pointer.digest
    return {"version": pointer.digest, "since": before["since"] if same and before else night}


def _replaced(store: Store, channel: str, live: str | None, pointer: Pointer | None) -> Reader | None:
    """The version that the night replaced; None where it replaced none, or the store has it no longer."""
    if live is None or pointer is None or pointer.digest == live or live not in channels.versions(store):
        return None
    return Reader.open(store.uri, channel=channel, version=live)


def _figures(judged: NightScores) -> Row:
    return {
        "users": len(judged.step),
        "newcomers": int(judged.step.newcomers.sum()),
        **judged.means(),
        **judged.gate(),
        **judged.held(),
        **judged.new.as_row(),
        "half_life_days": _finite(judged.half_life),
        "ease_half_life_days": _finite(judged.chosen.half_life),
        "ease_regularisation": judged.chosen.regularisation,
        "ease_decay": judged.chosen.decay,
        "ease_weight": judged.chosen.weight,
    }


def _finite(days: float) -> float | None:
    """A half-life in days; None for infinity, which JSON can't represent."""
    return days if math.isfinite(days) else None


def day(text: str) -> str:
    """Format a time of a row."""
    return instants.format_time(datetime.fromisoformat(text).timestamp())
