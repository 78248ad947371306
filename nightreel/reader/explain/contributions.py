"""Contributions of each event of a history to an item's score, per model."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Recommender
from nightreel.models.baselines.popularity import Popularity
from nightreel.models.baselines.popularity_by_genre import GenrePopularity
from nightreel.models.item_to_item import ItemToItem, recency_weights
from nightreel.models.neighbors.content_knn import ContentKnn
from nightreel.models.neighbors.tfidf_knn import TfidfKnn

RECENT = 50  # events at most that are left out one by one: older ones contribute little and would take long
BEHAVIOUR, CONTENT, POPULAR = "behaviour", "content", "popular"


def kind_of(member: Recommender) -> str:
    """What a model's score is based on: behaviour, content or popularity."""
    if isinstance(member, Popularity | GenrePopularity):
        return POPULAR
    return CONTENT if isinstance(member, ContentKnn | TfidfKnn) else BEHAVIOUR


def additive(member: Recommender) -> bool:
    """Whether the model's score is a sum over events, up to a factor that is the same for all items."""
    return isinstance(member, ItemToItem | ContentKnn)


def contributions(member: Recommender, past: Histories, moment: float, items: IntArray) -> FloatArray:
    """[events, len(items)] contributions for one row: the event's term if the score is a sum over events, else the loss
    in score without the event, for the last RECENT events."""
    taken = past.items
    if isinstance(member, ItemToItem):
        weights = member.between(taken.astype(np.int64), items)
        return np.asarray(recency_weights(past, member.decay)[:, None] * weights, np.float64)
    if isinstance(member, ContentKnn):
        terms = np.asarray(member.vectors[taken] @ member.vectors[items].T, np.float64)
        return np.asarray(recency_weights(past, member.decay)[:, None] * terms)
    return _lost(member, past, moment, items)


def without_each(past: Histories, events: IntArray) -> Histories:
    """One row per event [r] of a one-row history: the history without this event."""
    n, rows = len(past.items), len(events)
    kept = np.broadcast_to(np.arange(n), (rows, n))[np.arange(n)[None, :] != events[:, None]]
    indptr = np.arange(rows + 1, dtype=np.int64) * (n - 1)
    gains = None if past.gains is None else past.gains[kept]
    return Histories(indptr, past.items[kept], past.times[kept], gains=gains)


def _lost(member: Recommender, past: Histories, moment: float, items: IntArray) -> FloatArray:
    events = np.arange(len(past.items))[-RECENT:]
    terms = np.zeros((len(past.items), len(items)))
    whole = member.score(past, np.array([moment]))[0, items]
    terms[events] = whole - member.score(without_each(past, events), np.full(len(events), moment))[:, items]
    return terms
