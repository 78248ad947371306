"""From events to estimates and read-outs: a simulated log whose truth is known, and a reason wherever one is lacking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.logs.ab_outcomes import read_experiment
from nightreel.evaluation.logs.impression_responses import read_impressions
from nightreel.evaluation.logs.logged_slates import off_policy
from nightreel.evaluation.metrics.bootstrap import Draws
from nightreel.evaluation.test_set import Lists
from tests.support.settings import settings

LOGS = settings().evaluate.logs
DAY, ITEMS, CUT = 86_400.0, 20, 1000.0
Row = tuple[int, int, float, str, float | None]
"""(user, item, time, event, value)"""


def dataset(rows: list[Row], **columns: list[Any]) -> Dataset:
    """Events in the given order (sorted by user and time here); columns: optional ones, a cell a row."""
    order = sorted(range(len(rows)), key=lambda n: (rows[n][0], rows[n][2]))
    user, item, time, kind, value = zip(*(rows[n] for n in order), strict=True)
    positive = [k in ("play", "like") for k in kind]
    table: dict[str, Any] = {
        "user": pa.array(user, pa.int32()), "item": pa.array(item, pa.int32()), "time": pa.array(time, pa.float64()),
        "event": pa.array(kind).dictionary_encode(), "value": pa.array([np.nan if v is None else v for v in value], pa.float32()),
        "positive": positive, "negative": [False] * len(rows), "seen": positive, "gain": [1.0] * len(rows),
    }  # fmt: skip
    table |= {name: [cells[n] for n in order] for name, cells in columns.items()}
    return Dataset(
        items=pa.table({"item_id": [f"i{n}" for n in range(ITEMS)], "duration_s": [60.0 * (n + 1) for n in range(ITEMS)]}),
        user_ids=[f"u{n}" for n in range(max(user) + 1)], events=pa.table(table),
        folds={"global_time": np.where(np.array(time) < CUT, 0, 2).astype(np.int8)}, clock="time", exclude_seen=True,
        gate="global_time", data_until=max(time), protocols={"global_time": ["global_time"]}, split_digest={},
    )  # fmt: skip


def resample(columns: FloatArray) -> FloatArray:
    return Draws(len(columns), 200, np.random.default_rng(0)).totals(columns)


class Fixed:
    """Shows items 0, 1, 2, … to everybody."""

    models = ("blend",)

    def recommend_many(self, histories: Histories, *, k: int, **_: Any) -> Lists:
        items = np.tile(np.arange(k, dtype=np.int32), (len(histories), 1))
        return Answer(items, np.ones(items.shape, np.float32))


class Answer:
    def __init__(self, items: Any, scores: Any) -> None:
        self.items, self.scores = items, scores


def slates(users: int, never: int = 0) -> tuple[Dataset, float]:
    """One slate a user, each item in it with probability 0.2; item n is then played with probability 0.6 / (n + 1)."""
    rng, rows, extra = np.random.default_rng(0), list[Row](), dict[str, list[Any]](propensity=[], slate_id=[])
    for user in range(users):
        rows.append((user, ITEMS - 1, 0.0, "play", None))
        for item in np.flatnonzero(rng.random(ITEMS - 1) < 0.2).tolist():
            if item < never:
                continue
            rows.append((user, item, CUT + 10, "impression", None))
            if rng.random() < 0.6 / (item + 1):
                rows.append((user, item, CUT + 20, "play", None))
    told = [kind == "impression" for _, _, _, kind, _ in rows]
    extra["propensity"] = [0.2 if each else None for each in told]
    extra["slate_id"] = ["s" if each else None for each in told]
    return dataset(rows, **extra), 0.6


def test_a_response_answers_the_latest_impression_within_the_hours() -> None:
    hour = 3600.0
    rows: list[Row] = [
        (0, 1, 0.0, "impression", None), (0, 1, hour, "impression", None), (0, 1, 2 * hour, "play", None),
        (0, 2, 0.0, "impression", None), (0, 2, 30 * hour, "play", None), (1, 1, 2 * hour, "play", None),
        (1, 3, hour, "impression", None), (1, 3, 0.0, "play", None),
    ]  # fmt: skip
    data = dataset(rows)
    found = read_impressions(data, 24)
    item, time = data.events["item"].to_pylist(), data.events["time"].to_pylist()
    answered = {(item[row], time[row]) for row, r in zip(found.rows, found.response, strict=True) if r}
    assert (len(found.rows), answered) == (4, {(1, hour)})


def test_the_challengers_rate_is_found_from_another_policys_log() -> None:
    data, first = slates(3000)
    found = off_policy(data, Fixed(), "blend", LOGS, resample)
    assert found["why"] is None and found["slates"] > 2900
    truth = np.mean([first / (n + 1) for n in range(found["places"])])
    assert found["logged"]["high"] < truth - 0.1, "the log's own rate is another"
    for name in ("ips", "snips", "dr"):
        assert found[name]["low"] <= truth <= found[name]["high"]
    assert found["support"]["point"] == pytest.approx(1, abs=0.05)


def test_estimates_are_refused_with_a_reason() -> None:
    data, _ = slates(300)
    whole = data.events

    def why(ranker: Any = None, **changes: Any) -> str:
        return str(off_policy(replace(data, **changes), ranker or Fixed(), "blend", LOGS, resample)["why"])

    assert "no split in time" in off_policy(data, None, "blend", LOGS, resample)["why"]
    assert "no event has a `propensity`" in why(events=whole.drop_columns(["propensity"]))
    at = whole.column_names.index("propensity")
    lacking = [p if n % 2 else None for n, p in enumerate(whole["propensity"].to_pylist())]
    assert "95% are needed" in why(events=whole.set_column(at, "propensity", pa.array(lacking, pa.float64())))
    assert "no impression" in why(folds={"global_time": np.zeros(whole.num_rows, np.int8)})
    lost = off_policy(slates(300, never=2)[0], Fixed(), "blend", LOGS, resample)
    assert "hardly ever, shown" in lost["why"] and "ips" not in lost


def arms(effect: float, users: int = 4000, lost: float = 0.0) -> tuple[list[Row], list[Any]]:
    """A user sees ten items at their start, plays each with probability 0.2 (+ effect in B), likes one of two plays, comes
    back after three days with probability 0.5, and watches half a minute or a minute and a half of item 1."""
    rng, rows, variant = np.random.default_rng(3), list[Row](), list[Any]()
    for user in range(users):
        arm = "B" if rng.random() < 0.5 else "A"
        if arm == "B" and rng.random() < lost:
            continue
        own: list[Row] = []
        for item in range(10):
            own.append((user, item, 10.0 * item, "impression", None))
            if rng.random() < 0.2 + (effect if arm == "B" else 0):
                own.append((user, item, 10.0 * item + 5, "play", None))
                own.append((user, item, 10.0 * item + 6, "like" if rng.random() < 0.5 else "dislike", None))
        own.append((user, 1, 200.0, "watch", rng.choice([0.25, 0.75])))
        if rng.random() < 0.5:
            own.append((user, 2, 3 * DAY, "impression", None))
        rows += own
        variant += [arm] * len(own)
    rows.append((0, 0, 30 * DAY, "search", None))
    return rows, [*variant, None]


def outcomes(rows: list[Row], variant: list[Any], **changes: Any) -> tuple[dict[str, Any], Mapping[str, Any]]:
    told = read_experiment(dataset(rows, variant=variant), LOGS.model_copy(update=changes))
    return told, {each["outcome"]: each for each in told.get("outcomes", [])}


def test_an_experiment_is_read_with_all_its_outcomes() -> None:
    told, found = outcomes(*arms(0.05))
    assert told["why"] is None and told["ratio_p"] > 0.001 and told["control"] == "A" and told["crossed"] == 0
    rate = found["click-through rate"]
    assert 0 < rate["low"] < 0.05 < rate["high"]
    assert rate["control_value"] == pytest.approx(0.2 * 10 / 10.5, abs=0.01)
    assert found["watch time, minutes"]["control_value"] == pytest.approx(1.0, abs=0.03)
    back = found["retention"]
    assert back["control_value"] == pytest.approx(0.5, abs=0.03) and back["low"] < 0 < back["high"]
    assert found["satisfaction"]["control_value"] == pytest.approx(0.5, abs=0.03)
    assert found["conversion"]["control_value"] == pytest.approx(1 - 0.8**10, abs=0.02)


def test_an_experiment_that_lost_users_is_not_read() -> None:
    told, found = outcomes(*arms(0.0, lost=0.2))
    assert "sample ratio mismatch" in told["why"] and not found


def test_what_an_experiment_lacks_is_said() -> None:
    rows, variant = arms(0.0, users=200)
    _, found = outcomes(
        [row for row in rows if row[3] == "play"], [v for r, v in zip(rows, variant, strict=True) if r[3] == "play"]
    )
    assert found["click-through rate"]["why"] == "no impressions are logged"
    assert "no `watch` event" in found["watch time, minutes"]["why"]
    assert "no user has been in the test for 7 days" in found["retention"]["why"]
    assert "no likes" in found["satisfaction"]["why"]
    assert "no variance" in found["conversion"]["why"], "only plays are left, so everybody played"
    assert read_experiment(dataset(rows), LOGS)["why"] == "no event has a `variant`"
    assert (
        "name 1 variant, and two are needed" in outcomes(rows, [None if v is None else "A" for v in variant])[0]["why"]
    )
    assert "not one of the arms" in outcomes(rows, variant, control="C")[0]["why"]


def test_users_in_several_arms_are_counted_and_left_out() -> None:
    rows, variant = arms(0.0, users=200)
    variant[0] = "B" if variant[0] == "A" else "A"
    told, _ = outcomes(rows, variant)
    assert (told["crossed"], sum(told["users"].values())) == (1, 199)
