"""A user's interests: keywords of the items they liked and the words they searched for, weighted by age.

Items that they rated low, skipped or disliked later are left out: what somebody saw is not yet what they like.

An event counts 2^(-age / half-life). Its weight is divided among its item's keywords by their similarity to the item's
text and by inverse document frequency, so every event has the same total weight; a search gives its weight to its own
words. The profile is a sum, so every interest can name the events that it comes from, with their shares.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data.contract.schema import SEARCHES_SCHEMA, read_strict
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import PLAIN
from nightreel.reader.question import resolve_request
from nightreel.reader.requests.faults import answering

KEYWORDS, SEARCHES = "keywords.parquet", "searches.parquet"
KEYWORDS_SCHEMA = pa.schema([("words", pa.list_(pa.string())), ("weights", pa.list_(pa.float32()))])
DAY_S = 86_400.0
HALF_LIFE = 30.0
"""Half-life in days (in events, where the source has no clock)."""
EVENTS = 500
"""Number of a user's newest events that are used."""
TOLD = 5


@dataclass(frozen=True)
class Origin:
    """An event behind an interest: a liked item, or a search query (item_id empty). share: its share of the interest's
    weight; time: epoch seconds, or a position."""

    item_id: str
    text: str
    time: float
    share: float


@dataclass(frozen=True)
class Interest:
    """An interest. weight: its share of the profile, 0 to 1; origins: strongest first, at most a few of `events`."""

    word: str
    weight: float
    events: int
    origins: tuple[Origin, ...]


def write_keywords(folder: Path, data: Dataset, understood: Path, searches: Path) -> None:
    """Write the bundle's keywords.parquet (one row per item) and searches.parquet (user, time, text; oldest first).

    An item has the keywords of its text; if it has no text, its tags, else its genres, with equal scores.

    Args:
        folder: The bundle's folder.
        data: The data set.
        understood: Derived fields of its items.
        searches: The words of searches that may be published, see nightreel.data.free_text.
    """
    derived = pq.read_table(understood, columns=["keywords", "keyword_scores"]).to_pylist()
    labels = zip(data.items["tags"].to_pylist(), data.items["genres"].to_pylist(), strict=True)
    rows = [_scored(row, tags or genres or []) for row, (tags, genres) in zip(derived, labels, strict=True)]
    held = Counter(word for own in rows for word in own)
    rarity = {word: float(np.log1p(len(rows) / items)) for word, items in held.items()}
    keywords = [{"words": list(own), "weights": [score * rarity[word] for word, score in own.items()]} for own in rows]
    pq.write_table(pa.Table.from_pylist(keywords, KEYWORDS_SCHEMA), folder / KEYWORDS, compression="zstd")
    own = read_strict(searches, SEARCHES_SCHEMA)
    users = pa.array(data.bundle_rows[own["user"].to_numpy()], pa.int32())
    pq.write_table(own.set_column(0, "user", users), folder / SEARCHES, compression="zstd")


def _scored(row: dict[str, Any], labels: Sequence[str]) -> dict[str, float]:
    """Word → score of an item; of two forms of a word, the higher score."""
    words = row["keywords"] or labels
    scores = row["keyword_scores"] if row["keywords"] else [1.0] * len(words)
    found: dict[str, float] = {}
    for word, score in zip(words, scores, strict=True):
        found[_plain(word)] = max(score, 0.0, found.get(_plain(word), 0.0))
    return found


def _plain(word: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


@answering
def interests(
    bundle: OpenBundle,
    user: str | None = None,
    *,
    history: Sequence[str] | None = None,
    k: int = 10,
    half_life: float = HALF_LIFE,
) -> list[Interest]:
    """The strongest interests of a user or a history.

    Args:
        bundle: The open version.
        user: User id.
        history: Item ids, oldest first, instead of a user.
        k: Maximum number of interests.
        half_life: In days.

    Returns:
        At most k interests, strongest first; none for an unknown user.

    Raises:
        UserError: The version was published without keywords.
    """
    if not (bundle.facets.path.parent / KEYWORDS).exists():
        raise UserError(
            "This version has no keywords of its items: it was published by an earlier release of Nightreel."
        )
    question = resolve_request(bundle, user, history, None, None, PLAIN)
    row = int(bundle.users.rows([user])[0]) if user is not None else len(bundle.users)
    searches = _of_user(bundle.facets.path.parent / SEARCHES, row)
    liked = question.past.where(question.past.may_be_named)
    return profile(_parts(bundle, liked, searches, half_life), k)


Part = tuple[str, float, str, str, float]
"""Contribution of an event: word, weight, item id, text (empty: not named), time."""


def _parts(bundle: OpenBundle, past: Histories, searches: list[dict[str, Any]], half_life: float) -> list[Part]:
    items, times = past.items[-EVENTS:].tolist(), past.times[-EVENTS:].tolist()
    moments = [*times, *(row["time"] for row in searches)]
    if not moments:
        return []
    latest = max(moments)
    unit = half_life * (1.0 if bundle.clock.ordered else DAY_S)
    table = pq.ParquetFile(bundle.facets.path.parent / KEYWORDS).read().take(pa.array(items, pa.int64()))
    found, hidden = [], bundle.standing().hidden
    for item, time, row in zip(items, times, table.to_pylist(), strict=True):
        weight, whole = 2.0 ** ((time - latest) / unit), sum(row["weights"])
        for word, own in zip(row["words"], row["weights"], strict=True):
            if own > 0:
                # Items that may not be shown still describe the user's taste, but they are not named.
                title = "" if hidden[item] else bundle.items.titles[item] or bundle.items.ids[item]
                found.append((word, weight * own / whole, bundle.items.ids[item], title, time))
    for row in searches:
        found.append((row["text"], 2.0 ** ((row["time"] - latest) / unit), "", row["text"], row["time"]))
    return found


def profile(parts: Sequence[Part], k: int) -> list[Interest]:
    """Sum contributions by word, strongest first; ties in alphabetical order."""
    by_word: dict[str, list[Part]] = {}
    for part in parts:
        by_word.setdefault(part[0], []).append(part)
    sums = {word: sum(part[1] for part in own) for word, own in by_word.items()}
    whole = sum(sums.values())
    profile_rows = []
    for word in sorted(sums, key=lambda word: (-sums[word], word))[:k]:
        own = sorted(by_word[word], key=lambda part: (-part[1], -part[4], part[2]))
        named = [part for part in own if part[3]][:TOLD]
        origins = tuple(Origin(item, text, time, weight / sums[word]) for _, weight, item, text, time in named)
        profile_rows.append(Interest(word, sums[word] / whole, len(own), origins))
    return profile_rows


def _of_user(path: Path, row: int) -> list[dict[str, Any]]:
    table = pq.ParquetFile(path).read()
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["user"], row)).to_pylist()
    return rows
