"""A data set without stages around it, and two small rankers that behave as real ones do in what matters here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.data.splits import Events, cut_moments, digest, global_time, leave_last_out
from nightreel.evaluation.beyond_accuracy import CatalogueFacts
from nightreel.evaluation.list_checks import Hidden
from nightreel.evaluation.metrics.diversity import genre_distance
from nightreel.evaluation.metrics.genre_calibration import genre_shares
from tests.support.datasets import write_dataset


def planted(folder: Path, gate: str = "leave_last_out", until: float = np.inf, **options: Any) -> Dataset:
    """The planted data set as validate would hand it on: both protocols; only events up to the instant `until`."""
    rows = write_dataset(folder, **options)
    users = {name: index for index, name in enumerate(rows.user_ids)}
    items = {name: index for index, name in enumerate(rows.item_ids)}
    kept = sorted((users[u], t, n, items[i]) for n, (u, i, t) in enumerate(rows.rows) if t <= until)
    user, time, _, item = (np.array(column) for column in zip(*kept, strict=True))
    yes = np.ones(len(kept), bool)
    events = Events(user.astype(np.int32), item.astype(np.int32), time.astype(float), yes, yes)
    cut = cut_moments(events, 0.1, 1)[0]
    folds = {"leave_last_out": leave_last_out(events, True), "global_time": global_time(events, cut)}
    return Dataset(
        items=pa.table({"item_id": rows.item_ids}), user_ids=rows.user_ids,
        events=pa.table({
            "user": events.user, "item": events.item, "time": events.time, "event": ["play"] * len(kept),
            "value": np.full(len(kept), np.nan, np.float32),
            "positive": yes, "negative": ~yes, "seen": yes, "gain": np.ones(len(kept), np.float32),
        }),
        folds=folds, clock="time", exclude_seen=True, gate=gate, data_until=float(events.time.max()),
        protocols={name: [name] for name in folds},
        split_digest={name: digest(events, {name: fold}, rows.item_ids, rows.user_ids) for name, fold in folds.items()},
    )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    items: ItemArray

    @property
    def scores(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.zeros(self.items.shape, np.float32)


def plain(n_items: int) -> dict[str, Any]:
    """`measure`'s arguments for a catalogue without genres in which nothing is hidden."""
    nothing = [None] * n_items
    catalogue = CatalogueFacts(n_items, genre_distance(nothing), genre_shares(nothing))
    return {"catalogue": catalogue, "hidden": Hidden(np.zeros(n_items, bool))}


class Successors:
    """What followed the last item in the histories that it learnt from; then what is popular. Fitted on a test, it
    knows the test, as any refit model does. Its other model, `popularity`, forgets the last item."""

    models = ("blend", "popularity")

    def __init__(self, learnt: Histories, n_items: int) -> None:
        self.counts = np.bincount(learnt.items, minlength=n_items).astype(float)
        self.after = np.zeros((n_items, n_items))
        same = learnt.rows[1:] == learnt.rows[:-1]
        np.add.at(self.after, (learnt.items[:-1][same], learnt.items[1:][same]), 1.0)

    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None,
        exclude: Histories | None,
        k: int,
        model: str = "blend",
    ) -> Answer:
        scores = np.tile(self.counts / (self.counts.sum() + 1), (len(histories), 1))
        filled = np.flatnonzero(histories.lengths)
        if model == "blend":
            scores[filled] += self.after[histories.items[histories.indptr[1:][filled] - 1]]
        if exclude is not None:
            scores[exclude.rows, exclude.items] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best[np.take_along_axis(scores, best, axis=1) == -np.inf] = -1
        return Answer(best.astype(np.int32))
