"""The engine: all models, item statistics and the ranker, which together recommend items for a history at a time.

Evaluation and the reader use the same engine, so that both give the same lists. It needs only numpy and scipy.
Memory: the models' arrays (memory-mapped), and about CELLS x 4 bytes for each thread while scoring.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Catalogue, Factored, Recommender, Scored, Scores, Searching
from nightreel.models.catalogue import catalogue_in
from nightreel.models.mapped_arrays import map_array
from nightreel.models.outcomes.heads import Heads
from nightreel.models.ranker.blend import Blend, best_of_rows
from nightreel.models.ranker.candidates import HIDDEN, NO_SHORTLIST, Candidates, Dense, Products, gather
from nightreel.models.ranker.features import feature_matrix
from nightreel.models.ranker.item_statistics import ItemStatistics
from nightreel.models.ranker.new_items import fitting, with_places
from nightreel.models.registry import spec
from nightreel.models.top_k import top_items

Lists = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
BLEND = "blend"
CELLS = 40_000_000  # scores that a thread holds, of all models together: about 160 MB of float32
THREADS = min(4, os.cpu_count() or 1)  # blocks computed in parallel; more are limited by memory bandwidth


def unseen(scores: Scores, exclude: Histories | None, hidden: npt.NDArray[np.bool_] | None) -> Scores:
    """Set the scores of excluded and hidden items to -inf, in place."""
    if exclude is not None:
        scores[exclude.rows, exclude.items] = HIDDEN
    if hidden is not None:
        scores[:, hidden] = HIDDEN
    return scores


@dataclass(frozen=True)
class Engine:
    """Everything that is needed to recommend.

    Attributes:
        members: Models by name.
        statistics: Item statistics for the ranker's features.
        catalogue: The items.
        blend: The ranker.
        cutoff: Candidates retrieved from each model.
        shortlist: Candidates of all models that are ranked.
        now: The time that a moment of NaN stands for: just after the last event.
        new_every: Every so-many-th place of a list is kept for a new item that fits; 0 for none.
        heads: Models of outcomes; None for none.
        outcome_values: By outcome what one is worth; lists are ranked by that, see `Heads`. Empty: by the ranker alone.
    """

    members: Mapping[str, Recommender]
    statistics: ItemStatistics
    catalogue: Catalogue
    blend: Blend
    cutoff: int
    shortlist: int
    now: float
    new_every: int = 0
    heads: Heads | None = None
    outcome_values: Mapping[str, float] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """Names that `top_k` accepts: the blend (the ranker) and every model."""
        return (BLEND, *self.members)

    @cached_property
    def searching(self) -> Mapping[str, Searching]:
        """The models that can search. Cached, because `isinstance` with a runtime protocol is slower than scoring."""
        return {name: member for name, member in self.members.items() if isinstance(member, Searching)}

    @cached_property
    def factored(self) -> Mapping[str, Factored]:
        """The members whose scores are products of factors."""
        return {name: member for name, member in self.members.items() if isinstance(member, Factored)}

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return self.catalogue.n_items

    def _times(self, moments: FloatArray) -> FloatArray:
        """[n] times of requests, `now` in place of NaN."""
        return np.where(np.isnan(moments), self.now, moments)

    def scores(self, histories: Histories, moments: FloatArray, model: str) -> Scores:
        """[n, n_items] scores of one model. Raises KeyError for the blend, which ranks only candidates."""
        return self.members[model].score(histories, self._times(moments))

    def candidates(
        self,
        histories: Histories,
        moments: FloatArray,
        exclude: Histories | None,
        hidden: npt.NDArray[np.bool_] | None = None,
        also: IntArray | None = None,
    ) -> tuple[Candidates, tuple[str, ...], npt.NDArray[np.float32]]:
        """Candidates of a block of histories, the names of their features, and the features [p, columns]. What a user
        disliked before is no candidate. also: pairs, row x n_items + item, that are candidates whatever models say."""
        at, exclude = self._times(moments), self.left_out(histories, exclude)
        scored = [self._scored(name, histories, at, exclude, hidden) for name in self.members]
        fits = partial(
            fitting, moments=at, statistics=self.statistics, members=tuple(self.members), histories=histories
        )
        found = gather(scored, self.n_items, self.cutoff, self.shortlist, fits if self.new_every else None, also)
        columns, matrix = feature_matrix(
            found, tuple(self.members), histories, at, self.statistics, self.catalogue, self.columns
        )
        return found, columns, matrix

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The features that ranker and heads need; empty for all."""
        own = self.blend.columns
        if not self.valued or self.heads is None or not own:
            return own
        return (*own, *(name for name in self.heads.columns if name not in own))

    @property
    def valued(self) -> bool:
        """Whether lists are ranked by what outcomes are worth."""
        return bool(self.outcome_values) and self.heads is not None

    def ranked(
        self, found: Candidates, columns: tuple[str, ...], matrix: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """[p] scores of candidates by the ranker, or their worth where outcomes have a value."""
        members, at = tuple(self.members), [columns.index(name) for name in self.blend.columns]
        own = (self.blend.columns, matrix[:, at]) if at and columns != self.blend.columns else (columns, matrix)
        scores = self.blend.score(found, members, *own)
        if not self.valued or self.heads is None:
            return scores
        return self.heads.worth(self.outcome_values, found.rows, scores, columns, matrix)

    def left_out(self, histories: Histories, exclude: Histories | None) -> Histories | None:
        """What is left out of each row, together with what its user disliked."""
        disliked = histories.disliked
        return exclude if disliked is None else disliked if exclude is None else disliked.beside(exclude)

    def _scored(
        self,
        name: str,
        histories: Histories,
        at: FloatArray,
        exclude: Histories | None,
        hidden: npt.NDArray[np.bool_] | None,
    ) -> Scored:
        """One model's scores: of retrieved items if it can search, else of all items."""
        if member := self.searching.get(name):
            found = member.search(histories, exclude, hidden, min(self.cutoff, self.n_items))
            if found is not None:
                return found
        if factored := self.factored.get(name):
            return Products.of(factored.queries(histories), factored.keys, lambda each: unseen(each, exclude, hidden))
        scores = np.array(self.members[name].score(histories, at))
        floor = scores.min(axis=1)
        return Dense(unseen(scores, exclude, hidden), floor)

    def top_k(
        self,
        histories: Histories,
        moments: FloatArray,
        k: int,
        *,
        exclude: Histories | None,
        hidden: npt.NDArray[np.bool_] | None,
        model: str = BLEND,
    ) -> Lists:
        """Recommend k items for each history. For an empty history, these are the popular items of the moment.

        Args:
            histories: n rows.
            moments: [n] time of each request; NaN for now.
            k: Length of the lists.
            exclude: n rows of items that are left out, or None. What a user disliked is always left out.
            hidden: [n_items] items left out of every list, or None.
            model: The blend, or a model's name.

        Returns:
            Items int32 [n, k], best first, -1 where there are no more, and their scores float32 [n, k].
        """
        lists = np.full((len(histories), k), -1, np.int32), np.full((len(histories), k), -np.inf, np.float32)
        block = max(1, CELLS // (self.n_items * (2 * len(self.members) + 1)))

        def compute(start: int) -> None:
            rows = np.arange(start, min(start + block, len(histories)))
            part, without = histories.take(rows), exclude.take(rows) if exclude is not None else None
            lists[0][rows], lists[1][rows] = self._block(part, moments[rows], k, without, hidden, model)

        starts = range(0, len(histories), block)
        if len(starts) == 1:
            compute(0)
        else:  # the expensive numpy calls release the GIL, so that threads run in parallel
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(compute, starts))
        return lists

    def _block(
        self,
        histories: Histories,
        moments: FloatArray,
        k: int,
        exclude: Histories | None,
        hidden: npt.NDArray[np.bool_] | None,
        model: str,
    ) -> Lists:
        if model == BLEND:
            found, columns, matrix = self.candidates(histories, moments, exclude, hidden)
            scores = self.ranked(found, columns, matrix)
            scores = with_places(found, scores, self.new_every)
            items, values = best_of_rows(found, scores, len(histories), k)
        else:
            at, left_out = self._times(moments), self.left_out(histories, exclude)
            items, values = padded(*self._scored(model, histories, at, left_out, hidden).top(min(k, self.n_items)), k)
        short = np.flatnonzero((histories.lengths == 0) | (items[:, min(k, self.n_items) - 1] < 0))
        if model == BLEND and len(short):
            without = exclude.take(short) if exclude is not None else None
            rest = self._popular(histories.take(short), moments[short], k, without, hidden)
            for row, popular in zip(short, rest, strict=True):
                items[row], values[row] = completed(items[row], values[row], popular, len(histories[int(row)][0]) == 0)
        return items, values

    def _popular(
        self,
        histories: Histories,
        moments: FloatArray,
        k: int,
        exclude: Histories | None,
        hidden: npt.NDArray[np.bool_] | None,
    ) -> npt.NDArray[np.int32]:
        """[n, k] popular items of each moment, by the selected half-life; ties and items without recent events by
        all-time counts."""
        exclude = self.left_out(histories, exclude)
        return top_k_lists(unseen(self.popularity(histories, moments), exclude, hidden), k)[0]

    def popularity(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] popularity at each moment, by which the items of a list for an empty history are ranked."""
        at = self._times(moments)
        counted, ever = self.members.get("popularity", self.statistics.trends[0]), self.statistics.trends[-1]
        return counted.score(histories, at) + np.float32(1e-6) * ever.score(histories, at)

    @classmethod
    def open(cls, folder: Path, expansion: int = 0) -> Engine:
        """Open the engine of a bundle's folder, with memory-mapped arrays. expansion: see `Nearest.open`.

        Raises:
            FileNotFoundError: A file is missing.
        """
        described = json.loads((folder / "engine" / "engine.json").read_text("utf-8"))
        catalogue = catalogue_in(folder, expansion)
        members = {n: spec(n).cls.load(mapped(folder / "engine" / n), catalogue) for n in described["members"]}
        statistics = ItemStatistics.load(mapped(folder / "engine" / "statistics"), catalogue)
        trees = folder / "engine" / "trees.txt"
        model = trees.read_text("utf-8") if trees.exists() else ""
        weights = tuple(described.get("weights", ()))
        blend = Blend(described["blend"], tuple(described["columns"]), model, weights)
        shortlist = described.get("shortlist", NO_SHORTLIST)
        return cls(
            members,
            statistics,
            catalogue,
            blend,
            described["cutoff"],
            shortlist,
            described["now"],
            described.get("new_every", 0),
            Heads.read(described["heads"], folder / "engine") if "heads" in described else None,
            described.get("value", {}),
        )

    def save(self, folder: Path) -> None:
        """Write engine/ into a bundle's folder, which also needs the content vectors and items.parquet."""
        root = folder / "engine"
        root.mkdir(parents=True)
        parts = {name: member.arrays() for name, member in self.members.items()}
        for name, arrays in (parts | {"statistics": self.statistics.arrays()}).items():
            (root / name).mkdir()
            for array, value in arrays.items():
                np.save(root / name / f"{array}.npy", value, allow_pickle=False)
        described = {
            "members": list(self.members),
            "blend": self.blend.kind,
            "columns": list(self.blend.columns),
            "weights": list(self.blend.weights),
            "cutoff": self.cutoff,
            "shortlist": self.shortlist,
            "now": self.now,
            **({"new_every": self.new_every} if self.new_every else {}),
            **({"heads": self.heads.described()} if self.heads else {}),
            **({"value": dict(self.outcome_values)} if self.outcome_values else {}),
        }
        (root / "engine.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")
        if self.blend.model:
            (root / "trees.txt").write_text(self.blend.model, "utf-8")
        if self.heads:
            self.heads.write(root)


def mapped(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The .npy files of a folder by name, memory-mapped."""
    return {path.stem: map_array(path) for path in sorted(folder.glob("*.npy"))}


def top_k_lists(scores: Scores, k: int) -> Lists:
    """[n, k] best items of [n, n_items]; -1 where a row has fewer that may be shown."""
    top = top_items(scores, k)
    return padded(top, np.take_along_axis(scores, top, axis=1), k)


def padded(top: npt.NDArray[np.int32], found: npt.NDArray[np.float32], k: int) -> Lists:
    """[n, k] from the best items of n rows and their scores; -1 for what may not be shown and beyond the last one."""
    items = np.full((len(top), k), -1, np.int32)
    values = np.full((len(top), k), -np.inf, np.float32)
    width = top.shape[1]
    items[:, :width] = np.where(np.isfinite(found), top, -1)
    values[:, :width] = found
    return items, values


def completed(
    items: npt.NDArray[np.int32], values: npt.NDArray[np.float32], popular: npt.NDArray[np.int32], replace: bool
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Fill a short list up with popular items, with scores below the list's; with `replace`, take only those."""
    own = items[:0] if replace else items[items >= 0]
    more = popular[(popular >= 0) & ~np.isin(popular, own)][: len(items) - len(own)]
    floor = float(values[len(own) - 1]) if len(own) else 0.0
    filled = np.full(len(items), -1, np.int32)
    scores = np.full(len(items), -np.inf, np.float32)
    filled[: len(own)], scores[: len(own)] = own, values[: len(own)]
    filled[len(own) : len(own) + len(more)] = more
    scores[len(own) : len(own) + len(more)] = floor - 1e-3 * np.arange(1, len(more) + 1)
    return filled, scores
