"""Where the score of a listed item comes from: the votes of the models, divided among the events of the history.

A blend ranks candidates by the votes of its models. Each model's vote is divided among the events that its score comes
from. That tells which items a reason may name; whether they do lift the listed item is measured (see leave_one_out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.bundle.item_table import Mask
from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.candidates import FUSION_OFFSET, Candidates
from nightreel.reader.explain.contributions import BEHAVIOUR, CONTENT, additive, contributions, kind_of
from nightreel.reader.question import Question


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes of the models for given items.

    Attributes:
        items: [n].
        history: [h] distinct items of the history, ascending.
        ranked: [n] whether the blend ranked the item.
        weights: [n, models] share of each model in the vote; sums to 1 for a ranked item.
        kinds: Of each model, what its score is based on.
        shares: {kind: [h, n]} share of each history item; a column sums to 1 or 0.
    """

    items: IntArray
    history: IntArray
    ranked: Mask
    weights: FloatArray
    kinds: tuple[str, ...]
    shares: dict[str, FloatArray]

    def of_kind(self, kind: str) -> FloatArray:
        """[n] share of the votes of models of one kind."""
        return np.asarray(self.weights[:, [each == kind for each in self.kinds]].sum(axis=1))

    def strongest(self, at: int, kind: str, most: int, among: Mask) -> list[int]:
        """Places in `history` of those that contribute most to item number `at`; among: [h] which may be named."""
        return _largest(np.where(among, self.shares[kind][:, at], 0.0), most)

    def evidence(self, at: int, most: int, among: Mask) -> list[int]:
        """The same over all kinds."""
        return _largest(np.where(among, self.contributions(at), 0.0), most)

    def contributions(self, at: int) -> FloatArray:
        """[h] share of each history item in all votes for item number `at`."""
        parts = [self.of_kind(kind)[at] * self.shares[kind][:, at] for kind in (BEHAVIOUR, CONTENT)]
        return np.asarray(parts[0] + parts[1])


def _largest(parts: FloatArray, most: int) -> list[int]:
    order = np.argsort(-parts, kind="stable")[:most]
    return [at for at in order.tolist() if parts[at] > 0]


def votes(engine: Engine, question: Question, items: IntArray, hidden: Mask | None) -> Votes:
    """Votes of the models for items (at most a list's length) as results of a request."""
    found, _, _ = engine.candidates(question.past, question.moments, question.exclude, hidden)
    ranked, weights = _weights(engine, found, items)
    kinds = tuple(kind_of(member) for member in engine.members.values())
    history, event_of = np.unique(question.past.items, return_inverse=True)
    shares = {}
    for kind in (BEHAVIOUR, CONTENT):
        terms = np.zeros((len(history), len(items)))
        if len(history):
            np.add.at(terms, event_of, _terms(engine, question, items, weights, kinds, kind))
        shares[kind] = terms / np.maximum(terms.sum(axis=0), 1e-12)
    return Votes(items, history.astype(np.int64), ranked, weights, kinds, shares)


def _weights(engine: Engine, found: Candidates, items: IntArray) -> tuple[Mask, FloatArray]:
    """Weights by reciprocal rank, as in the fusion; a model that ranks the item below its cut-off has no vote."""
    place = np.searchsorted(found.items, items)
    ranked = np.isin(items, found.items)
    ranks = np.full((len(items), len(engine.members)), float(engine.cutoff))
    ranks[ranked] = found.ranks[place[ranked]]
    if engine.blend.kind in engine.members:
        own = [name == engine.blend.kind for name in engine.members]
        return ranked, np.where(ranked[:, None], np.array(own, np.float64), 0.0)
    least = 1.0 / (FUSION_OFFSET + min(engine.cutoff, engine.n_items))
    weights = np.maximum(1.0 / (FUSION_OFFSET + ranks) - least, 0.0)
    return ranked, weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)


def _terms(
    engine: Engine, question: Question, items: IntArray, weights: FloatArray, kinds: Sequence[str], kind: str
) -> FloatArray:
    """[events, n] contributions of the events to the items through the models of a kind, weighted by their votes.

    If models whose score is a sum over events have votes, only these are used: leaving events out one by one, which the
    others need, takes a hundred times as long.
    """
    members = list(engine.members.values())
    voting = [at for at, each in enumerate(kinds) if each == kind and weights[:, at].any()]
    sums = [at for at in voting if additive(members[at])]
    strongest = sorted(voting, key=lambda at: -float(weights[:, at].sum()))[:1]
    total = np.zeros((len(question.past.items), len(items)))
    moment = float(question.moments[0])
    for at in sums or strongest:
        said = np.maximum(
            contributions(members[at], question.past, engine.now if np.isnan(moment) else moment, items), 0.0
        )
        total += weights[:, at] * said / np.maximum(said.sum(axis=0), 1e-12)
    return total
