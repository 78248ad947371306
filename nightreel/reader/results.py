"""What a reader answers with."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

LISTS = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("score", pa.float32())])
"""Many users' lists as one table; rank from 1."""


@dataclass(frozen=True)
class Reason:
    """Why an item is in a list, from the terms of its score.

    kind: behaviour (what people take after `items`), content (close to `items`) or popular, with its share of the
    members' votes, 0 to 1; creator and genre are labels (`words`) that the item has in common with the recent past;
    rule: a pin or a boost, of the version's rules or of the request, brought it to its place. A popular item that is so
    in one language, genre or media type has that label in `words`.
    text: a sentence for people; items: ids of the history.
    """

    kind: str
    text: str
    items: tuple[str, ...]
    words: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Recommendation:
    """One item of a list; rank from 1.

    score: the model's; wishes and rules may have moved the item elsewhere; NaN where they brought in what it did not
    rank. reason: "for you", or "popular" where there is no history to go by; "picked" or "promoted" by a pin or boost.
    propensity: with what probability this item is in the list, below 1 only where exploration was asked for, NaN where
    that came with diversity or caps and so is not known. reasons: where asked for, the strongest first.
    """

    item_id: str
    title: str
    rank: int
    score: float
    reason: str
    propensity: float = 1.0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """An item of the history. drop: what the explained item's score loses when the served model is asked again
    without it; rank: the explained item's place then, None when it is no candidate any more."""

    item_id: str
    title: str
    drop: float
    rank: int | None


@dataclass(frozen=True)
class Explanation:
    """Why an item is, or is not, recommended.

    score, rank: the served model's for it, were it permitted (rank None: not among the candidates). left_out: "seen",
    "blocked", "expired" or "rule" (a rule hides it) where that keeps it out of the list. reasons: the strongest first;
    empty for what is no candidate. evidence: what was measured by asking again, the largest fall first.
    """

    item_id: str
    title: str
    score: float
    rank: int | None
    left_out: str | None
    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Similar:
    """An item near another one, or near a text. score: the cosine of the items' content vectors; of a search, BM25."""

    item_id: str
    title: str
    score: float
