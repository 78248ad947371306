"""Results of a reader: recommendations with reasons, explanations, similar items."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

LISTS = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("score", pa.float32())])
"""Many users' lists as one table; rank from 1."""


@dataclass(frozen=True)
class Reason:
    """Why an item is in a list.

    Attributes:
        kind: "behaviour" (users who liked `items` also liked this one), "content" (similar to `items`), "popular",
            "creator" or "genre" (labels in common with the recent history), "rule" (a pin or a boost of the version's
            rules or of the request), "explored" (shown because little is known of it), or "value" (its place is better
            than by the ranker alone, because of what outcomes are worth).
        text: A sentence for users, which says what the user did with `items`: rated them highly, listened to them, …
        items: Ids of the items of the history that it refers to. The user liked each (a rating is at least 4, and no
            later dislike, skip or low rating takes it back), and without it the listed item would have a lower score
            and no better place. Empty for "popular", and where only the history as a whole brought the item.
        words: Labels that it refers to: of a creator or genre reason; for a popular item, the language, genre or media
            type in which it is popular.
        share: Share of the models' votes, 0 to 1; 0 for creator, genre, rule, explored and value. The shares of a
            listed item add up to less than 1 where some models' votes come from no item that may be named.
    """

    kind: str
    text: str
    items: tuple[str, ...]
    words: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Recommendation:
    """One item of a list.

    Attributes:
        item_id: Item id.
        title: Title of the item.
        rank: Position in the list, from 1.
        score: The model's score. Options and rules may have moved the item to another position. NaN where they added
            the item and the model did not rank it, and for an explored item.
        reason: "for you"; "popular" where there is no history; "picked" or "promoted" for a pin or a boost; "explored"
            for an item of which little is known, shown to learn how it is taken.
        propensity: Probability that the item is in the list. Below 1 only with exploration; NaN where a version without
            a share of exploration of its own explores together with diversity or caps, because it is not known in
            closed form.
        reasons: Reasons, strongest first, if requested.
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
    """Leave-one-out evidence: the effect of one item of the history on the explained item.

    Attributes:
        item_id: Id of the history item.
        title: Its title.
        drop: Loss in the explained item's score without the history item.
        rank: Rank of the explained item without the history item; None if it is no longer a candidate.
    """

    item_id: str
    title: str
    drop: float
    rank: int | None


@dataclass(frozen=True)
class Explanation:
    """Why an item is, or is not, recommended.

    Attributes:
        item_id: Item id.
        title: Title of the item.
        score: The model's score, as if the item were allowed in the list.
        rank: Its place in the list by this score, at whatever depth, before rules change the order; None if it can't be
            in it.
        left_out: Why it is not in the list: "seen", "blocked", "upcoming", "expired", "rule", "disliked" or
            "filter"; None otherwise.
        reasons: Reasons, strongest first; empty if the item is not a candidate.
        evidence: Leave-one-out evidence of the liked items that lift it most, largest drop first.
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
    """A similar item, or a search result.

    Attributes:
        item_id: Item id.
        title: Title of the item.
        score: Cosine of the items' content vectors (`similar`), or BM25F score (`search`).
    """

    item_id: str
    title: str
    score: float
