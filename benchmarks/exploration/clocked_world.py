"""A made-up platform with a clock: users with tastes, items that come every day, and a log of what was shown and taken.

Items have content (a genre and a style), and a quality that content tells in part: one in three is good. Whether a user
takes a shown item depends on how well its content fits their taste and on its quality alone, with a known probability.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.data.contract.schema import CLEAN_EVENTS, MOMENT
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray

DAY = 86_400.0
BEGIN = 1_760_000_000.0 // DAY * DAY
GENRES, SIZE = 8, 24
GOOD_SHARE = 1 / 3
TOLD = 0.5  # share of the variance of quality that content tells
GOOD, BAD = 0.5, 0.05  # probability that a user whom an item fits perfectly takes it


@dataclass(eq=False)
class ClockedWorld:
    """The platform. Rows of all items that will ever be are there from the start; `born` says from when.

    Attributes:
        tastes: [users, SIZE] of unit length.
        content: [items, SIZE] of unit length.
        good: [items] whether an item is good.
        born: [items] day on which an item comes.
    """

    tastes: FloatArray
    content: FloatArray
    good: npt.NDArray[np.bool_]
    born: npt.NDArray[np.int64]
    _log: dict[str, list[object]] = field(
        default_factory=lambda: {name: [] for name in ("user", "item", "time", "event", "slate_id", "propensity")}
    )

    @classmethod
    def made(cls, users: int, first: int, daily: int, days: int, rng: np.random.Generator) -> ClockedWorld:
        """Draw a platform with `first` items that are there before day 0, and `daily` new ones on each day."""
        n = first + daily * days
        genres = _unit(rng.normal(size=(GENRES, SIZE)))
        style = _unit(rng.normal(size=SIZE))
        told = rng.normal(size=n)
        quality = np.sqrt(TOLD) * told + np.sqrt(1 - TOLD) * rng.normal(size=n)
        noise = rng.normal(size=(n, SIZE)) / np.sqrt(SIZE)
        content = _unit(genres[rng.integers(0, GENRES, n)] + 0.7 * noise + 0.4 * told[:, None] * style)
        own = genres[rng.integers(0, GENRES, (users, 2))].sum(axis=1)
        tastes = _unit(own + 0.5 * rng.normal(size=(users, SIZE)) / np.sqrt(SIZE))
        born = np.concatenate([np.full(first, -1), np.repeat(np.arange(days), daily)])
        return cls(tastes, content, quality > np.quantile(quality, 1 - GOOD_SHARE), born)

    @property
    def chances(self) -> FloatArray:
        """[users, items] probability that a user takes an item that they are shown."""
        fit = np.clip(self.tastes @ self.content.T, 0.0, 1.0)
        return fit**2 * np.where(self.good, GOOD, BAD)

    def show(
        self, user: int, items: npt.NDArray[np.int64], propensities: FloatArray, day: int, rng: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """Log a list of a day and what the user takes of it; returns [k] what was taken."""
        fit = np.clip(self.content[items] @ self.tastes[user], 0.0, 1.0)
        taken: npt.NDArray[np.bool_] = rng.random(len(items)) < fit**2 * np.where(self.good[items], GOOD, BAD)
        moment = BEGIN + day * DAY + float(rng.uniform(0, 0.9)) * DAY
        for item, chance, took in zip(items.tolist(), propensities.tolist(), taken.tolist(), strict=True):
            self._append(user, item, moment, "impression", f"{user}.{day}", chance)
            if took:
                self._append(user, item, moment + 60.0, "play", None, None)
        return taken

    def _append(self, *cells: object) -> None:
        for column, cell in zip(self._log.values(), cells, strict=True):
            column.append(cell)

    def data(self, day: int) -> Dataset:
        """What the night before a day knows: the log so far, and the items that have come by then."""
        n_users, n_items = len(self.tastes), int((self.born <= day).sum())
        columns = dict(self._log)
        order = np.lexsort((np.array(columns["time"]), np.array(columns["user"])))
        play = np.array([event == "play" for event in columns["event"]])
        table = pa.table(
            {
                "user": columns["user"], "item": columns["item"], "time": columns["time"], "event": columns["event"],
                "value": np.full(len(play), np.nan), "positive": play, "negative": ~play & False, "seen": play,
                "gain": np.ones(len(play), np.float32),
            }
        ).cast(CLEAN_EVENTS)  # fmt: skip
        for name, kind in (("slate_id", pa.string()), ("propensity", pa.float64())):
            table = table.append_column(name, pa.array(columns[name], kind))
        since = ((BEGIN + self.born[:n_items] * DAY) * 1e6).astype(np.int64)
        names = [f"i{item:05d}" for item in range(n_items)]
        items = pa.table({"item_id": names, "title": names, "published_at": pa.array(since, pa.int64()).cast(MOMENT)})
        users = [f"u{user:05d}" for user in range(n_users)]
        until = BEGIN + day * DAY
        return Dataset(items, users, table.take(order), {}, "time", True, "", until, {}, {})


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
