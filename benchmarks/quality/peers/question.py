"""The inputs of a peer, read from the tables that the benchmark wrote, and the code that all peers share.

Runs in the peers' environment, without Nightreel: numpy, scipy and pyarrow alone. A peer never gets the test events:
they are outside the folder that it reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import scipy.sparse as sp

Ints = npt.NDArray[np.int64]
Choice = dict[str, Any]
RELEVANT = 0.5
VALIDATION_USERS = 5000  # as many as Nightreel's own search looks at


@dataclass(frozen=True)
class Events:
    """Positives [n], sorted by user, time and source order. time: epoch seconds, or a position without a clock; gain:
    how much each says that its user took to the item, 0 to 1."""

    user: Ints
    item: Ints
    time: npt.NDArray[np.float64]
    n_users: int
    n_items: int
    gain: npt.NDArray[np.float64]

    @property
    def relevant(self) -> Events:
        """The events that say so by a half or more, of which the truth consists."""
        return self.where(self.gain >= RELEVANT)

    def where(self, kept: npt.NDArray[np.bool_]) -> Events:
        """Some of the events."""
        columns = (column[kept] for column in (self.user, self.item, self.time))
        return Events(*columns, self.n_users, self.n_items, self.gain[kept])

    @cached_property
    def matrix(self) -> Any:
        """[n_users, n_items] float32 CSR of ones."""
        found = sp.csr_matrix(
            (np.ones(len(self.user), np.float32), (self.user, self.item)), shape=(self.n_users, self.n_items)
        )
        found.data[:] = 1
        return found

    @cached_property
    def popularity(self) -> npt.NDArray[np.float64]:
        """[n_items] events of each item."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.float64)


@dataclass(frozen=True)
class Ask:
    """Lists that are wanted: users [n], the moment of each answer [n], and what each has seen (CSR) or None."""

    users: Ints
    moments: npt.NDArray[np.float64]
    seen: Any
    k: int


class Peer(Protocol):
    """A library's model. grid: what its search may choose from, the most usual first."""

    grid: Sequence[Choice]

    def fit(self, events: Events, choice: Choice) -> Any:
        """A fitted model."""

    def recommend(self, model: Any, events: Events, ask: Ask) -> Ints:
        """[n, ≥ k] items, best first, -1 where there is none; items of `ask.seen` may be among them beyond k."""


@dataclass(frozen=True)
class Question:
    """train: what the search learns from; past: train + validation, what the answer learns from."""

    clock: bool
    train: Events
    past: Events
    valid: Events
    search: Ask
    answer: Ask

    @property
    def graded(self) -> bool:
        """Whether some events say less than fully that their users took to the items."""
        return bool((self.past.gain < 1).any())

    def of_relevant(self) -> Question:
        """The same question, of which a peer learns from the relevant events alone."""
        return replace(self, train=self.train.relevant, past=self.past.relevant)

    @classmethod
    def read(cls, folder: Path, k: int) -> Question:
        """The tables of a folder that benchmarks/quality/own.py wrote."""
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        train, past, valid = (_events(folder / f"{name}.parquet", facts) for name in ("train", "past", "valid"))
        asked = pq.read_table(folder / "users.parquet")
        users, moments = asked["user"].to_numpy().astype(np.int64), asked["moment"].to_numpy()
        seen = dict.fromkeys(("train", "past"))
        if facts["exclude_seen"]:
            seen = {name: _events(folder / f"seen_{name}.parquet", facts).matrix for name in seen}
        valid = unseen(valid.relevant, seen["train"])
        known = np.flatnonzero(np.bincount(train.user, minlength=train.n_users))
        tried = np.intersect1d(valid.user, known)
        if len(tried) > VALIDATION_USERS:
            tried = np.sort(np.random.default_rng(0).choice(tried, VALIDATION_USERS, replace=False))
        cut = facts["valid_moment"]
        last = np.zeros(train.n_users)
        last[train.user] = train.time  # sorted by time: the last one stays
        search = Ask(tried, last[tried] if cut is None else np.full(len(tried), cut), seen["train"], k)
        return cls(facts["clock"], train, past, valid, search, Ask(users, moments, seen["past"], k))


def unseen(events: Events, seen: Any) -> Events:
    """Events whose item their user had not seen: a list can't hold the others."""
    if seen is None or not len(events.user):
        return events
    kept = np.asarray(seen[events.user, events.item]).ravel() == 0
    return events.where(kept)


def extra(events: Events, ask: Ask) -> int:
    """How many more items to ask a library for, which knows of the positives alone and not of all that was seen."""
    if ask.seen is None or not len(ask.users):
        return 0
    more = ask.seen[ask.users] - ask.seen[ask.users].multiply(events.matrix[ask.users])
    return int(more.getnnz(1).max(initial=0)) if more.nnz else 0


def finish(lists: Ints, events: Events, ask: Ask) -> Ints:
    """[n, k]: without seen items, and filled up with the most popular unseen ones where a model had too few."""
    popular = np.argsort(-events.popularity, kind="stable")
    out = np.full((len(ask.users), ask.k), -1, np.int64)
    for row, user in enumerate(ask.users):
        hidden = set() if ask.seen is None else set(ask.seen[user].indices.tolist())
        kept: list[int] = []
        for item in (*lists[row].tolist(), -2, *popular[: ask.k + len(hidden) + ask.k]):
            if item >= 0 and item not in hidden:
                kept.append(int(item))
                hidden.add(int(item))
            if len(kept) == ask.k:
                break
        out[row, : len(kept)] = kept
    return out


def validation_ndcg(lists: Ints, question: Question) -> float:
    """Mean NDCG@10 over the search's users, with binary relevance."""
    users = question.search.users
    if not len(users):
        return 0.0
    truth = question.valid.matrix[users]
    top = lists[:, :10]
    hit = np.asarray(truth[np.arange(len(users))[:, None], np.maximum(top, 0)].todense()) * (top >= 0)
    discount = 1 / np.log2(np.arange(top.shape[1]) + 2)
    ideal = np.cumsum(1 / np.log2(np.arange(10) + 2))[np.minimum(truth.getnnz(1), 10) - 1]
    return float(((hit > 0) @ discount / ideal).mean())


def _events(path: Path, facts: dict[str, Any]) -> Events:
    table = pq.read_table(path)
    user, item = (table[name].to_numpy().astype(np.int64) for name in ("user", "item"))
    gain = table["gain"].to_numpy() if "gain" in table.column_names else np.ones(len(user))
    return Events(user, item, table["time"].to_numpy(), facts["n_users"], facts["n_items"], gain)
