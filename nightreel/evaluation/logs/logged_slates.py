"""Off-policy evaluation of the challenger on slates that another policy showed after the end of its training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories, IntArray, ItemArray
from nightreel.data.split_protocols import GLOBAL
from nightreel.data.splits import TEST
from nightreel.evaluation.logs.impression_responses import read_impressions
from nightreel.evaluation.logs.off_policy import Impressions, Resample, estimate, why_unreliable
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.test_set import Ranker, TestSet, ask
from nightreel.settings.logs import Logs

LONGEST = 10  # positions of a list that are compared
COMPLETE = 0.95  # lowest share of impressions with a propensity, because those without may differ systematically
LEARNED = ("train", "valid")


def off_policy(data: Dataset, ranker: Ranker | None, model: str, settings: Logs, resample: Resample) -> dict[str, Any]:
    """Estimate the challenger's response rate.

    Args:
        data: The validated data.
        ranker: The candidate trained up to the latest cut in time; None if there is no such split.
        model: The model whose lists are evaluated.
        settings: The settings of the log evaluation.
        resample: The bootstrap over users.

    Returns:
        The estimates as JSON, or {"why": reason}.
    """
    if ranker is None or GLOBAL not in data.protocols:
        return _none("there is no split in time, so no slate was shown after the end of the challenger's training")
    if "propensity" not in data.events.column_names:
        return _none("no event has a `propensity`")
    fold = data.protocols[GLOBAL][0]
    seen = read_impressions(data, settings.response_hours)
    later = data.folds[fold][seen.rows] == TEST
    rows, response = seen.rows[later], seen.response[later]
    if not len(rows):
        return _none("no impression of an item is in the test period")
    chance = data.events["propensity"].fill_null(np.nan).to_numpy()[rows]
    given = ~np.isnan(chance)
    if given.mean() < COMPLETE:
        return _none(f"{given.mean():.0%} of {len(rows):,} impressions have a propensity; {COMPLETE:.0%} are needed")
    rows, response, chance = rows[given], response[given], chance[given]
    users, at = np.unique(data.events["user"].to_numpy()[rows].astype(np.int64), return_inverse=True)
    slate = _slates(data, rows)
    k = int(min(np.median(np.bincount(slate)), LONGEST))
    log = Impressions(at, slate, data.events["item"].to_numpy()[rows].astype(np.int64), chance, response)
    found = estimate(log, _lists(data, fold, users, ranker, model, k), data.n_items, resample)
    if isinstance(found, str):
        return _none(found)
    why = why_unreliable(found, settings.support, settings.effective)
    return {"why": why, "places": k, "model": model, **(_small(asdict(found)) if why else asdict(found))}


def _small(found: dict[str, Any]) -> dict[str, Any]:
    """The figures that show why an estimate is unreliable, without the estimate."""
    return {name: found[name] for name in ("support", "effective", "impressions", "slates", "users")}


def _none(why: str) -> dict[str, Any]:
    return {"why": why}


def _slates(data: Dataset, rows: IntArray) -> IntArray:
    """[n] index of each impression's slate, by user and `slate_id`; an impression without one is its own slate."""
    user = data.events["user"].to_numpy()[rows]
    names = data.events["slate_id"].to_pylist() if "slate_id" in data.events.column_names else [None] * len(data.events)
    numbers: dict[tuple[int, object], int] = {}
    keys = ((int(u), ("row", row) if names[row] is None else names[row]) for u, row in zip(user, rows, strict=True))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _lists(data: Dataset, fold: str, users: IntArray, ranker: Ranker, model: str, k: int) -> ItemArray:
    """[users, k] the challenger's lists for the users, as of the end of its training."""
    cut = float(data.events["time"].to_numpy()[data.folds[fold] == TEST].min())
    history, seen = data.positives(fold, LEARNED).take(users), data.seen(fold, LEARNED).take(users)
    nothing = Histories.from_rows([((), ())] * len(users))
    question = TestSet(
        fold,
        users,
        history,
        seen if data.exclude_seen else None,
        np.full(len(users), cut),
        Truth.of(nothing, data.n_items),
        np.zeros(data.n_items),
        0,
    )
    return ask(ranker, question, k, model)
