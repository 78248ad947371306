"""What values bring and cost: lists of the test part's users for each of a grid of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from benchmarks.value.head_scores import spelled
from benchmarks.value.held_out import HeldOut
from nightreel.data.histories import FloatArray, ItemArray
from nightreel.evaluation.metrics.bootstrap import Draws, Interval, interval
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.models.ranker.blend import best_of_rows
from nightreel.models.ranker.new_items import with_places

K, BLOCK = 10, 256
GRID: tuple[dict[str, float], ...] = (
    {},
    {"watch": 1},
    {"like": 1},
    {"like": 2},
    {"like": 5},
    {"like": 20},
    {"dislike": -4},
    {"dislike": -20},
    {"like": 2, "dislike": -4},
    {"watch": 1, "like": 2, "dislike": -4},
    {"wanted": 0, "watch": 1, "like": 2, "dislike": -4},
)
"""Fixed before anything was measured; the first is the ranker alone."""
NAMES = ("ndcg", "cost", "likes", "dislikes", "watched")


@dataclass(frozen=True)
class Point:
    """Figures of one setting of values. ndcg: NDCG@10 of wanted items; cost: its difference to the ranker alone; likes,
    dislikes: share of the held-out ones that are in the first 10; watched: of the items in the first 10 that their
    user met, the share that was watched to a large part."""

    value: Mapping[str, float]
    ndcg: Interval
    cost: Interval
    likes: Interval
    dislikes: Interval
    watched: Interval
    found: tuple[int, int]


def lists(night: HeldOut) -> list[ItemArray]:
    """[users of `met`, K] for each setting. Candidates are retrieved once for all."""
    engines = [replace(night.engine, outcome_values=value) for value in GRID]
    past, exclude, n = night.known.take(night.met.users), night.exclude(), len(night.met.users)
    found: list[list[ItemArray]] = [[] for _ in engines]
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        part, without = past.take(rows), None if exclude is None else exclude.take(rows)
        # With values, candidates have the features of the heads beside those of the ranker.
        candidates, columns, matrix = engines[-1].candidates(part, np.full(len(rows), night.start), without)
        for own, engine in zip(found, engines, strict=True):
            scores = with_places(candidates, engine.ranked(candidates, columns, matrix), engine.new_every)
            own.append(best_of_rows(candidates, scores, len(rows), K)[0])
    return [np.concatenate(own) for own in found]


def columns(night: HeldOut, listed: ItemArray) -> FloatArray:
    """[users, 8] sums by user, in pairs of numerator and denominator: NDCG and 1; likes in the list and all; dislikes
    likewise; of met items in the list those watched and all."""
    met, n = night.met, len(night.met.users)
    pairs, shown = met.rows * night.data.n_items + met.items, (np.arange(n)[:, None] * night.data.n_items + listed)
    inside = np.isin(pairs, shown[listed >= 0])
    reachable = np.ones(len(pairs), bool)
    if (exclude := night.exclude()) is not None:
        reachable = ~np.isin(pairs, exclude.rows * night.data.n_items + exclude.items)

    def count(mask: np.ndarray) -> FloatArray:
        return np.bincount(met.rows[mask], minlength=n).astype(np.float64)

    def label(name: str) -> np.ndarray:
        known = name in met.outcomes
        return met.labels[:, met.outcomes.index(name)] if known else np.zeros(len(pairs), bool)

    rows, own = night.rows_of_test()
    ndcg, asked = np.zeros(n), np.zeros(n)
    ndcg[rows] = per_user(listed[rows], night.test.take(own).truth, (K,))[f"ndcg@{K}"]
    asked[rows] = 1.0
    parts = [ndcg, asked]
    for name in ("like", "dislike"):
        mark = label(name) & reachable
        parts += [count(mark & inside), count(mark)]
    return np.column_stack([*parts, count(inside & label("watch")), count(inside)])


def measured(night: HeldOut, replicates: int) -> list[Point]:
    """One point a setting, with the same replicates of users for all."""
    draws = Draws(len(night.met.users), replicates, np.random.default_rng(1))
    points: list[Point] = []
    first: tuple[FloatArray, FloatArray] | None = None
    for value, listed in zip(GRID, lists(night), strict=True):
        sums = columns(night, listed)
        total, drawn = _ratios(sums.sum(axis=0)[None])[0], _ratios(draws.totals(sums))
        first = first or (total, drawn)
        found = [interval(total[at], drawn[:, at][~np.isnan(drawn[:, at])]) for at in range(4)]
        cost = interval(total[0] - first[0][0], drawn[:, 0] - first[1][:, 0])
        hits = int(sums[:, 2].sum()), int(sums[:, 4].sum())
        points.append(Point(value, found[0], cost, found[1], found[2], found[3], hits))
    return points


def _ratios(totals: FloatArray) -> FloatArray:
    """[r, 4] of sums [r, 8]; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[:, 0::2] / totals[:, 1::2])


def table_of(points: list[Point], night: HeldOut) -> Table:
    """One row a setting."""
    heads = sorted(night.choices.heads.curves) if night.choices.heads else []
    table = Table(
        title=f"Values on the test part: {len(night.met.users):,} users, of whom {len(night.rows_of_test()[0]):,} have "
        f"wanted items; with 95% intervals by user; heads: {', '.join(heads) or 'none'}"
    )
    for name in ("value", "NDCG@10", "against {}", "likes found", "dislikes found", "watched of what was met"):
        table.add_column(name, justify="left" if name == "value" else "right")
    for each in points:
        spelt = ", ".join(f"{name}: {worth:g}" for name, worth in each.value.items())
        table.add_row(
            f"{{{spelt}}}", spelled(each.ndcg, ".4f"), spelled(each.cost, "+.4f"),
            f"{each.found[0]}: {spelled(each.likes, '.3f')}", f"{each.found[1]}: {spelled(each.dislikes, '.3f')}",
            spelled(each.watched, ".3f"),
        )  # fmt: skip
    return table
