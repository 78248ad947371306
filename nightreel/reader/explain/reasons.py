"""Reasons in words: the liked items of the history that lift a listed item, and what else speaks for it.

A reason names only what the user liked (see nightreel.data.contract.verdicts) and what was measured to lift the item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nightreel.bundle.context_popularity import FACETS, name
from nightreel.bundle.item_table import Mask
from nightreel.bundle.newcomers import Rows
from nightreel.data.contract.editorial_rules import comparable
from nightreel.data.histories import Histories, IntArray
from nightreel.models.engine import Engine
from nightreel.reader.explain.contributions import BEHAVIOUR, CONTENT, POPULAR
from nightreel.reader.explain.leave_one_out import Effects
from nightreel.reader.explain.votes import Votes, votes
from nightreel.reader.explain.wording import because
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import PLAIN, RequestOptions
from nightreel.reader.question import Question
from nightreel.reader.results import Reason

NAMED = 2  # history items named in one reason
TRIED = 3  # history items of each kind that are measured for an item
PROFILE = 10  # recent events that describe a user's taste
COMMON = 0.3  # minimum share of those for a label to count as a match
MOSTLY = 0.5  # minimum share of those for a language to count as the user's own
VALUED = Reason("value", "Ranked higher by what outcomes are worth", (), (), 0.0)
UNNAMED = {
    BEHAVIOUR: "Often chosen by people with a history like yours",
    CONTENT: "Close in content to your history",
}
"""Where no single item of the history lifts an item, but all of them together brought it."""


@dataclass(frozen=True, eq=False)
class Why:
    """Why items are in a list.

    Attributes:
        bundle: The open version.
        past: The history.
        options: The request's options.
        votes: The models' votes for the items.
        nameable: [h] history items that a reason may name: liked, and fit for the audience.
        tried: [t, n] of the t that were left out, those that speak most for each item.
        effects: What leaving them out does.
        segments: Of a user without events, see Question.
        raised: [n] whether an item's place is better than by the ranker alone, because of what outcomes are worth.
    """

    bundle: OpenBundle
    past: Histories
    options: RequestOptions
    votes: Votes
    nameable: Mask
    tried: Mask
    effects: Effects
    segments: Rows = field(default_factory=dict)
    raised: Mask | None = None

    @classmethod
    def of(
        cls,
        bundle: OpenBundle,
        question: Question,
        items: IntArray,
        hidden: tuple[Mask | None, Mask],
        options: RequestOptions = PLAIN,
        evidence: int = 0,
    ) -> Why:
        """Divide the votes, and measure the history items that they come from.

        Args:
            bundle: The open version.
            question: The request.
            items: [n] listed items.
            hidden: [n_items] items that are not ranked for this request, and items that may not be shown to anybody,
                nor named.
            options: The request's options.
            evidence: Measure as many of the history items that contribute most, over all kinds of models, too, and
                places at whatever depth.
        """
        engine = bundle.engine
        found = votes(engine, question, items, hidden[0])
        nameable = _nameable(bundle, question.past, found.history, hidden[1], options)
        tried = np.zeros((len(found.history), len(items)), bool)
        evident = np.zeros(len(found.history), bool)
        for n in np.flatnonzero(found.ranked).tolist():
            for kind in (BEHAVIOUR, CONTENT):
                tried[found.strongest(n, kind, TRIED, nameable), n] = True
            evident[found.evidence(n, evidence, nameable)] = True
        left_out = tried.any(axis=1) | evident
        depth = engine.n_items if evidence else engine.shortlist
        effects = Effects.measured(engine, question, items, found.history[left_out], hidden, depth)
        raised = _raised(engine, question, items, hidden, effects) if engine.valued else None
        return cls(bundle, question.past, options, found, nameable, tried[left_out], effects, question.segments, raised)

    def lifting(self, at: int) -> list[int]:
        """History items that may be named for item number `at`, and lift it."""
        found: list[int] = self.effects.history[self.effects.lifts[:, at] & self.tried[:, at]].tolist()
        return found

    def reasons(self, at: int) -> tuple[Reason, ...]:
        """Reasons for item number `at`, strongest first, and behind them matching labels, and whether values raised
        it."""
        item, lifting = int(self.votes.items[at]), self.lifting(at)
        told = [reason for kind in (BEHAVIOUR, CONTENT) if (reason := self._named(at, kind, lifting))]
        share = float(self.votes.of_kind(POPULAR)[at])
        if share > 0:
            told.append(self._popular(item, share))
        told.sort(key=lambda reason: -reason.share)
        worth = [VALUED] if self.raised is not None and self.raised[at] else []
        return (*(told or [self._whole(at, item)]), *self._matches(item, lifting), *worth)

    def _named(self, at: int, kind: str, lifting: Sequence[int]) -> Reason | None:
        """A reason by models of one kind; None where they had no vote, or nothing that may be named lifts the item."""
        share = float(self.votes.of_kind(kind)[at])
        among = np.isin(self.votes.history, lifting)
        named = self.votes.history[self.votes.strongest(at, kind, NAMED, among)].tolist()
        if share <= 0 or not named:
            return None
        table = self.bundle.items
        if kind == CONTENT:
            text = "Similar in content to " + " and ".join(table.titles[i] or table.ids[i] for i in named)
        else:
            text = because(named, self.past, table, self.bundle.facets.media_types)
        return Reason(kind, text, tuple(table.ids[i] for i in named), (), share)

    def _whole(self, at: int, item: int) -> Reason:
        """What there is to say where no reason has a name: the whole history, or that the item is popular."""
        kind = max((BEHAVIOUR, CONTENT), key=lambda kind: float(self.votes.of_kind(kind)[at]))
        share = float(self.votes.of_kind(kind)[at])
        return Reason(kind, UNNAMED[kind], (), (), share) if share > 0 else self._popular(item, 1.0)

    def _popular(self, item: int, share: float) -> Reason:
        """The context in which the item is popular: for a user without events, labels of users who take it more than
        others do; else what the request asks for first, then the user's own languages and
        genres, then overall, then any other."""
        if self.segments and self.bundle.newcomers is not None:
            labels = self.bundle.newcomers.segments.speaking(item, self.segments)
            if labels:
                return Reason(POPULAR, f"Popular among similar users ({', '.join(labels)})", (), tuple(labels), share)
        facets, contexts = self.bundle.facets, self.bundle.facets.contexts
        when, now = (" this week", "Popular now") if contexts is not None and contexts.days else ("", "Popular")
        if contexts is None:
            return Reason(POPULAR, "Popular now", (), (), share)
        own = self._own()
        asked = {(facet, comparable(label)) for facet in FACETS for label in getattr(self.options, facet)}
        places = [(facet, label) for facet in FACETS for label in getattr(facets, facet)[item]]
        first = [(facet, label) for facet, label in places if (facet, comparable(label)) in asked]
        for facet, label in [*first, *(each for each in places if each in own), ("", ""), *places]:
            if item in contexts.popular.get((facet, label), ()):
                if not facet:
                    return Reason(POPULAR, f"Popular{when}", (), (), share)
                where = "your language" if facet == "languages" and (facet, label) in own else name(facet, label)
                return Reason(POPULAR, f"Popular in {where}{when}", (), (label,), share)
        return Reason(POPULAR, now, (), (), share)

    def _liked(self) -> list[int]:
        """The newest items that the user liked, oldest first."""
        items: list[int] = self.past.items[self.past.may_be_named][-PROFILE:].tolist()
        return items

    def _own(self) -> set[tuple[str, str]]:
        """Languages and genres of a large share of what the user liked lately."""
        recent = self._liked()
        found = set()
        for facet, least in (("languages", MOSTLY), ("genres", COMMON)):
            counts = Counter(label for i in recent for label in set(getattr(self.bundle.facets, facet)[i]))
            found |= {(facet, label) for label, count in counts.items() if count > least * len(recent)}
        return found

    def _matches(self, item: int, lifting: Sequence[int]) -> list[Reason]:
        """Labels that the item shares with much of what the user liked lately; no part of the score, so their share is
        0. Named are those items that have the labels and lift the item."""
        recent, ids = self._liked(), self.bundle.items.ids
        matches = []
        for kind, rows, words in (
            ("creator", self.bundle.facets.creators, "By"),
            ("genre", self.bundle.items.genres, "Matches"),
        ):
            counts = Counter(label for i in recent for label in set(rows[i]))
            common = [label for label in rows[item] if counts[label] >= max(COMMON * len(recent), 1)]
            common.sort(key=lambda label: (-counts[label], label))
            if common:
                named = tuple(ids[i] for i in dict.fromkeys(recent) if i in lifting and set(rows[i]) & set(common))
                matches.append(Reason(kind, f"{words}: {', '.join(common[:3])}", named, tuple(common), 0.0))
        return matches


def _raised(
    engine: Engine, question: Question, items: IntArray, hidden: tuple[Mask | None, Mask], effects: Effects
) -> Mask:
    """[n] whether items have better places than by the ranker alone. effects: with values."""
    plain, nothing = replace(engine, outcome_values={}), np.empty(0, np.int64)
    without = Effects.measured(plain, question, items, nothing, hidden, engine.shortlist).places
    return np.asarray((effects.places > 0) & ((without == 0) | (effects.places < without)))


def _nameable(bundle: OpenBundle, past: Histories, history: IntArray, hidden: Mask, options: RequestOptions) -> Mask:
    """[h] whether a reason may name a history item: the user liked it, it may be shown, and it suits the audience."""
    out = hidden | bundle.facets.unsuitable(options.audience_age)
    return np.asarray(np.isin(history, past.items[past.may_be_named]) & ~out[history])
