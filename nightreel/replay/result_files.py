"""The result files of a replay: nights.parquet, one row per night, judged.parquet, one row per night and user,
item_reach.parquet, rows of item_reach by night, and the page replay.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.durations import in_words
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval
from nightreel.evaluation.segments.new_item_lines import item_lines
from nightreel.replay.night_run import Row
from nightreel.replay.night_scores import EASE, FIRST_RECIPE, HELD, POPULARITY, RANKERS, REPLICATES, SEED, SERVED
from nightreel.replay.paired import Overall, overall
from nightreel.replay.plan import ReplayPlan
from nightreel.report import document
from nightreel.report.nights import replay_page
from nightreel.report.nights.replay_page import ReplayFacts

PAGE = "replay.html"
BESIDE = {
    POPULARITY: "recent popularity",
    EASE: "EASE × recent popularity",
    FIRST_RECIPE: "the first recipe, refitted nightly",
}
MOMENT = pa.timestamp("us", "UTC")
MEANS = [f"{name}{group}" for group in ("", "_known", "_newcomers") for name in RANKERS]
NIGHTS = pa.schema(
    [
        *((name, MOMENT) for name in ("night", "until")),
        ("events", pa.int64()),
        *((name, pa.string()) for name in ("decision", "outcome", "label", "reason", "error")),
        ("published", pa.bool_()),
        *((name, pa.string()) for name in ("published_label", "version", "served_label")),
        ("since", MOMENT),
        *((name, pa.int64()) for name in ("users", "newcomers")),
        *((name, pa.float64()) for name in MEANS),
        *((name, pa.float64()) for name in ("before", "gained", "gained_low", "gained_high")),
        *((name, pa.float64()) for name in (HELD, "held_gained", "held_gained_low", "held_gained_high")),
        *((name, pa.int64()) for name in ("new_wanted", "new_reached", "new_by_content")),
        ("new_places", pa.float64()),
        *((name, pa.float64()) for name in ("half_life_days", "ease_half_life_days")),
        *((name, pa.float64()) for name in ("ease_regularisation", "ease_decay", "ease_weight")),
        *((name, pa.float64()) for name in ("seconds", "alternatives_seconds", "judging_seconds")),
        ("code", pa.string()),
        *((name, pa.list_(pa.string())) for name in ("told", "troubles", "expected", "unnamed")),
        *((name, pa.bool_()) for name in ("as_expected", "silent")),
        *((name, pa.int64()) for name in ("lost_rows", "came_back", "lost_versions")),
    ]
)
"""The schema of nights.parquet; a missing half-life is infinite. told: what `nightreel status` would have said of the
night; before: the replaced version on the same users, gained: the served one less it, with its 95% interval;
held_candidate: the candidate of a night that published another one or none, held_gained: it less the served one;
first_recipe, held_candidate: nothing without their options; from `troubles` on, nothing without a script."""


def write(plan: ReplayPlan, rows: Sequence[Row]) -> Overall | None:
    """Write the tables and the page for the nights so far; returns their summary, None if none had a served version."""
    _replace(pa.Table.from_pylist([_typed(row) for row in rows], NIGHTS), plan.folder / "nights.parquet")
    judged = [pq.read_table(plan.of(night) / "judged.parquet") for night in plan.nights[: len(rows)]]
    whole = pa.concat_tables(judged, promote_options="default")
    _replace(whole, plan.folder / "judged.parquet")
    reach = _reach(plan, len(rows))
    if reach is not None:
        _replace(reach, plan.folder / "item_reach.parquet")
    found = overall(whole, reach)
    document.write(replay_page.page(_facts(plan, rows, judged, found, reach)), plan.folder / PAGE)
    return found


def as_json(found: Overall | None) -> dict[str, Any] | None:
    """Convert to plain values, with each interval as point, low and high."""
    return None if found is None else asdict(found)


def _reach(plan: ReplayPlan, nights: int) -> pa.Table | None:
    """Rows of item_reach of the nights so far; None if nothing was served, or by an earlier version of the code."""
    paths = [plan.of(night) / "item_reach.parquet" for night in plan.nights[:nights]]
    tables = [pq.read_table(path) for path in paths if path.exists()]
    return pa.concat_tables(tables) if tables else None


def _facts(
    plan: ReplayPlan,
    rows: Sequence[Row],
    judged: Sequence[pa.Table],
    found: Overall | None,
    reach: pa.Table | None,
) -> ReplayFacts:
    """What the page of the replay shows, with an interval for each night."""
    return ReplayFacts(
        source=plan.log.source.name,
        step=in_words(plan.step_s),
        rows=rows,
        intervals=[_interval(each) for each in judged],
        own=SERVED,
        beside={name: title for name, title in BESIDE.items() if any(name in row for row in rows)},
        means=found.means if found else {},
        differences=found.differences if found else {},
        new_items=found.new_items if found else (),
        item_lines=item_lines(reach) if reach is not None else (),
        titles=dict(zip(*(plan.log.loaded.items[name].to_pylist() for name in ("item_id", "title")), strict=True)),
    )


def _interval(judged: pa.Table) -> Interval | None:
    """Of the served lists' mean over the night's users; None where nothing was served."""
    scores = judged[SERVED].drop_null().to_numpy()
    return mean_interval(scores, REPLICATES, np.random.default_rng(SEED)) if len(scores) else None


def _typed(row: Row) -> Row:
    moments = {name: datetime.fromisoformat(row[name]) for name in ("night", "until", "since") if row[name]}
    return {name: row.get(name) for name in NIGHTS.names} | moments


def _replace(table: pa.Table, path: Path) -> None:
    working = path.with_name(f".{path.name}.partial")
    pq.write_table(table, working, compression="zstd")
    working.rename(path)
