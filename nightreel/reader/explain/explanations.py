"""Why an item is in a list: its score traced back to events of the history, and leave-one-out evidence.

A blend ranks candidates by the votes of its models. Each model's vote is divided among the events that its score comes
from; the events with the largest shares are named. `measured` then scores the item again without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.bundle.context_popularity import FACETS, name
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.candidates import FUSION_OFFSET, Candidates
from nightreel.reader.explain.contributions import BEHAVIOUR, CONTENT, POPULAR, additive, contributions, kind_of
from nightreel.reader.results import Reason
from nightreel.reader.slate import Question

NAMED = 2  # history items named in one reason
PROFILE = 10  # recent events that describe a user's taste
COMMON = 0.3  # minimum share of those for a label to count as a match
MOSTLY = 0.5  # minimum share of those for a language to count as the user's own
VERBS = {"audio": "listened to", "music": "listened to", "podcast": "listened to", "game": "played", "other": "took to"}


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes of the models for given items.

    Attributes:
        ranked: [n] whether the blend ranked the item.
        weights: [n, models] share of each model in the vote; sums to 1 for a ranked item.
        shares: {kind: [distinct history items, n]} share of each history item; a column sums to 1 or 0.
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


def evidence(found: Votes, at: int, most: int, hidden: Mask | None = None) -> IntArray:
    """Indices of the history items that contribute most to item number `at`, over all kinds. hidden: [n_items] items
    that may not be named."""
    total = sum(found.of_kind(kind)[at] * found.shares[kind][:, at] for kind in (BEHAVIOUR, CONTENT))
    return _strongest(found.history, np.asarray(total), most, hidden)


def _strongest(history: IntArray, parts: FloatArray, most: int, hidden: Mask | None) -> IntArray:
    speaks = parts > 0 if hidden is None else (parts > 0) & ~hidden[history]
    order = np.argsort(-parts, kind="stable")
    return history[order[speaks[order]][:most]]


def reasons(
    found: Votes, at: int, question: Question, table: ItemTable, facets: Facets, hidden: Mask | None = None
) -> tuple[Reason, ...]:
    """Reasons for item number `at`, strongest first; "popular" if no model voted for it. hidden: [n_items] items that
    may not be shown, and so may not be named in a reason."""
    reasons_found = []
    item, past = int(found.items[at]), question.past
    for kind in (BEHAVIOUR, CONTENT, POPULAR):
        share = float(found.of_kind(kind)[at])
        if share <= 0:
            continue
        if kind == POPULAR:
            reasons_found.append(_popular(item, past, facets, share))
            continue
        named = tuple(_strongest(found.history, found.shares[kind][:, at], NAMED, hidden).tolist())
        if named:
            reasons_found.append(
                Reason(kind, _text(kind, named, table, facets), tuple(table.ids[i] for i in named), (), share)
            )
    reasons_found.sort(key=lambda reason: -reason.share)
    return (*(reasons_found or [_popular(item, past, facets, 1.0)]), *_matches(item, past, table, facets, hidden))


def _popular(item: int, past: Histories, facets: Facets, share: float) -> Reason:
    """The context in which the item is popular: the user's own languages and genres first, then overall, then any
    other."""
    contexts = facets.contexts
    if contexts is None:
        return Reason(POPULAR, "Popular now", (), (), share)
    when, now = (" this week", "Popular now") if contexts.days else ("", "Popular")
    own = _own(past, facets)
    places = [(facet, label) for facet in FACETS for label in getattr(facets, facet)[item]]
    for facet, label in [*(each for each in places if each in own), ("", ""), *places]:
        if item in contexts.popular.get((facet, label), ()):
            if not facet:
                return Reason(POPULAR, f"Popular{when}", (), (), share)
            where = "your language" if facet == "languages" and (facet, label) in own else name(facet, label)
            return Reason(POPULAR, f"Popular in {where}{when}", (), (label,), share)
    return Reason(POPULAR, now, (), (), share)


def _own(past: Histories, facets: Facets) -> set[tuple[str, str]]:
    """Languages and genres of a large share of the recent history."""
    recent = past.items[-PROFILE:].tolist()
    found = set()
    for facet, least in (("languages", MOSTLY), ("genres", COMMON)):
        counts = Counter(label for i in recent for label in set(getattr(facets, facet)[i]))
        found |= {(facet, label) for label, count in counts.items() if count > least * len(recent)}
    return found


def _text(kind: str, named: Sequence[int], table: ItemTable, facets: Facets) -> str:
    titles = " and ".join(table.titles[i] or table.ids[i] for i in named)
    if kind == CONTENT:
        return f"Similar in content to {titles}"
    media = facets.media_types[named[0]]
    return f"Because you {VERBS.get(media[0], 'watched') if media else 'liked'} {titles}"


def _matches(item: int, past: Histories, table: ItemTable, facets: Facets, hidden: Mask | None) -> list[Reason]:
    """Labels that the item shares with much of the recent history; no part of the score, so their share is 0."""
    recent = past.items[-PROFILE:].tolist()
    matches = []
    for kind, rows, words in (("creator", facets.creators, "By"), ("genre", table.genres, "Matches")):
        counts = Counter(label for i in recent for label in set(rows[i]))
        common = [label for label in rows[item] if counts[label] >= max(COMMON * len(recent), 1)]
        common.sort(key=lambda label: (-counts[label], label))
        if common:
            shown = (i for i in dict.fromkeys(recent) if hidden is None or not hidden[i])
            named = tuple(table.ids[i] for i in shown if set(rows[i]) & set(common))
            matches.append(Reason(kind, f"{words}: {', '.join(common[:3])}", named, tuple(common), 0.0))
    return matches
