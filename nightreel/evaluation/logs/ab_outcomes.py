"""A/B outcomes by user, from events with a `variant`, and the arms' differences from the control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow.compute as pc

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.logs.impression_responses import Mask, of_kind, read_impressions
from nightreel.evaluation.logs.sequential_test import arm_difference, sample_ratio_p_value
from nightreel.settings.logs import Logs

DAY = 86_400.0
Sums = tuple[FloatArray, FloatArray]
"""(numerators, denominators) [users]; users with denominator 0 are excluded from the outcome."""


def read_experiment(data: Dataset, settings: Logs) -> dict[str, Any]:
    """Evaluate an A/B test.

    Users are the unit of randomisation. A user belongs to the arm that all their events name; users in several arms are
    excluded and counted.

    Returns:
        The results as JSON, or {"why": reason} if there is no test to evaluate.
    """
    if "variant" not in data.events.column_names:
        return {"why": "no event has a `variant`"}
    names, arm, first, crossed = _assigned(data)
    users = {name: int((arm == number).sum()) for number, name in enumerate(names)}
    if len(names) < 2:
        return {"why": f"the events name {len(names)} variant{'' if len(names) == 1 else 's'}, and two are needed"}
    control = settings.control or names[0]
    p = sample_ratio_p_value(users, settings.shares)
    result: dict[str, Any] = {"users": users, "control": control, "ratio_p": p, "crossed": crossed, "why": None}
    if control not in names:
        return result | {"why": f"evaluate.logs.control = {control!r} is not one of the arms: {', '.join(names)}"}
    if p < settings.ratio_p:
        return result | {
            "why": f"sample ratio mismatch: the arms' sizes have p = {p:.2g}, below {settings.ratio_p:g}, so "
            "users were lost or assigned wrongly, and no result can be trusted"
        }
    alpha = settings.alpha / (len(names) - 1)
    outcomes = []
    for name, measure in OUTCOMES.items():
        sums = measure(data, first, settings)
        for other in names:
            if other != control:
                pair = [
                    _of_arm(sums, arm == names.index(each)) if isinstance(sums, tuple) else sums
                    for each in (control, other)
                ]
                outcomes.append({"outcome": name, "arm": other, **_compared(pair, alpha, settings.tightest)})
    return result | {"outcomes": outcomes}


def _compared(pair: list[Any], alpha: float, tightest: float) -> dict[str, Any]:
    found = pair[0] if isinstance(pair[0], str) else arm_difference(pair[0], pair[1], alpha, tightest)
    return {"why": found} if isinstance(found, str) else {"why": None, **asdict(found)}


def _of_arm(sums: Sums, inside: Mask) -> Sums:
    rows = inside & (sums[1] > 0)
    return sums[0][rows], sums[1][rows]


def _assigned(data: Dataset) -> tuple[list[str], IntArray, FloatArray, int]:
    """(names of the arms, [users] arm or -1, [users] time of the first event with an arm, number of users in several
    arms)."""
    variant = data.events["variant"]
    names: list[str] = sorted(pc.unique(variant.drop_null()).to_pylist())
    number = pc.fill_null(pc.index_in(variant, pc.unique(variant.drop_null()).sort()), -1).to_numpy()
    user, time = (data.events[name].to_numpy() for name in ("user", "time"))
    given = number >= 0
    low, high = np.full(data.n_users, len(names)), np.full(data.n_users, -1)
    np.minimum.at(low, user[given], number[given])
    np.maximum.at(high, user[given], number[given])
    first = np.full(data.n_users, np.inf)
    np.minimum.at(first, user[given], time[given])
    return names, np.where(low == high, high, -1).astype(np.int64), first, int(((high >= 0) & (low < high)).sum())


def _since(data: Dataset, first: FloatArray, rows: Mask | None = None) -> Mask:
    """[events] whether the event is of a user in the test, at or after the user's first event in it."""
    user, time = (data.events[name].to_numpy() for name in ("user", "time"))
    inside: Mask = time >= first[user]
    return inside if rows is None else inside & rows


def _sum(data: Dataset, rows: Mask, weights: FloatArray | None = None) -> FloatArray:
    at = np.flatnonzero(rows)
    user = data.events["user"].to_numpy()[at]
    return np.bincount(user, None if weights is None else weights[at], data.n_users).astype(np.float64)


def click_through(data: Dataset, first: FloatArray, settings: Logs) -> Sums | str:
    """Share of impressions with a response."""
    seen = read_impressions(data, settings.response_hours)
    rows, answered = np.zeros(data.events.num_rows, bool), np.zeros(data.events.num_rows)
    rows[seen.rows], answered[seen.rows] = True, seen.response
    rows = _since(data, first, rows)
    return (_sum(data, rows, answered), _sum(data, rows)) if rows.any() else "no impressions are logged"


def conversion(data: Dataset, first: FloatArray, settings: Logs) -> Sums | str:
    """Share of users with a positive event."""
    positive = data.events["positive"].to_numpy() & (data.events["item"].to_numpy() >= 0)
    return (_sum(data, _since(data, first, positive)) > 0).astype(np.float64), np.isfinite(first).astype(np.float64)


def watch_time(data: Dataset, first: FloatArray, settings: Logs) -> Sums | str:
    """Minutes watched per user."""
    item, value = data.events["item"].to_numpy(), data.events["value"].to_numpy().astype(np.float64)
    if "duration_s" not in data.items.column_names or not data.items["duration_s"].drop_null().length():
        return "no item has a `duration_s`"
    length = data.items["duration_s"].fill_null(np.nan).to_numpy()[np.maximum(item, 0)]
    minutes = np.where(item >= 0, value * length / 60, np.nan)
    watched = _since(data, first, of_kind(data, "watch") & ~np.isnan(minutes))
    if not watched.any():
        return "no `watch` event has a value and an item with a duration"
    return _sum(data, watched, np.nan_to_num(minutes)), np.isfinite(first).astype(np.float64)


def retention(data: Dataset, first: FloatArray, settings: Logs) -> Sums | str:
    """Share of users who returned, among those with enough time before the end of the data."""
    if data.clock != "time":
        return "the data have no clock"
    begin, end = (days * DAY for days in settings.returns)
    since = data.events["time"].to_numpy() - first[data.events["user"].to_numpy()]
    back = _sum(data, (since >= begin) & (since <= end)) > 0
    whole = np.isfinite(first) & (first + end <= data.data_until)
    if not whole.any():
        return f"no user has been in the test for {settings.returns[1]:g} days yet"
    return (back & whole).astype(np.float64), whole.astype(np.float64)


def satisfaction(data: Dataset, first: FloatArray, settings: Logs) -> Sums | str:
    """Mean of a user's likes (1), dislikes (0) and ratings (1 to 5, scaled to 0 to 1), over users with any."""
    value = data.events["value"].to_numpy().astype(np.float64)
    liked = of_kind(data, "like") | of_kind(data, "favorite")
    rated = of_kind(data, "rating") & ~np.isnan(value)
    score = np.where(rated, np.clip((value - 1) / 4, 0, 1), liked.astype(np.float64))
    rows = _since(data, first, liked | rated | of_kind(data, "dislike"))
    if not rows.any():
        return "no likes, dislikes or ratings are logged"
    count = _sum(data, rows)
    return np.divide(_sum(data, rows, score), count, out=np.zeros_like(count), where=count > 0), (count > 0).astype(
        np.float64
    )


OUTCOMES: Mapping[str, Callable[[Dataset, FloatArray, Logs], Sums | str]] = {
    "click-through rate": click_through,
    "conversion": conversion,
    "watch time, minutes": watch_time,
    "retention": retention,
    "satisfaction": satisfaction,
}
