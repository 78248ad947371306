"""Popularity by context: most popular items of the version's last week, overall and by language, genre and media type.

    popular/contexts.json  {"days": 7, "contexts": [[facet, label, number of items with it], …]}; days null without a
                           clock
    popular/items.npy      [contexts, PLACES] int32, most events first, ties to the lower row; -1 beyond the last one
    popular/events.npy     [contexts, PLACES] int32 positive events

The week ends at the end of the version's data (see nightreel.data.log_end). Without a clock all events count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nightreel.bundle.format import BundleError
from nightreel.data.histories import Histories, IntArray
from nightreel.data.log_end import data_end
from nightreel.models.mapped_arrays import map_array

FOLDER = "popular"
WEEK_DAYS = 7
DAY = 86_400.0
FACETS = ("languages", "genres", "media_types")
PLACES = 100
MOST = 64  # labels per facet, most frequent first
LEAST = 10  # items per label: popularity among fewer items means little
WHOLE = 0.9  # labels with a larger share of the catalogue are no context of their own
FIRST, TENTH = 20, 0.1  # popular: within the first 20 places and the best tenth of the context's items

Labels = Sequence[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Contexts:
    """Popular items by context. days: length of the window, None for all events; popular: {(facet, label): rows of
    popular items}; ("", "") stands for the whole catalogue."""

    days: int | None
    popular: dict[tuple[str, str], frozenset[int]]

    @classmethod
    def read(cls, folder: Path) -> Contexts | None:
        """Read from a bundle's folder; None if it has none. Raises BundleError for what is not as `write` left it."""
        root = folder / FOLDER
        if not root.is_dir():
            return None
        path = root / "contexts.json"
        try:
            content = json.loads(path.read_text("utf-8"))
            items = map_array(root / "items.npy")
            first = {
                (facet, label): frozenset(row[: _first(size)].tolist()) - {-1}
                for (facet, label, size), row in zip(content["contexts"], items, strict=True)
            }
            return cls(None if content["days"] is None else int(content["days"]), first)
        except (ValueError, TypeError, LookupError, OverflowError, FileNotFoundError) as error:
            raise BundleError(f"{path}: is no list of contexts ({error}). Use another version.") from None


def _first(size: int) -> int:
    return int(min(FIRST, np.ceil(TENTH * size)))


def write(folder: Path, past: Histories, labels: dict[str, Labels], clock: bool) -> None:
    """Write popular/ of a bundle. past: positive events, one row per user; labels: {facet: [n] labels of each item}."""
    n = len(labels[FACETS[0]])
    counts = _counts(past, n, clock)
    contexts = [("", "", np.arange(n))]
    for facet in FACETS:
        # Of a language with its regions, only the language, which is the last of an item's labels.
        rows = [row[-1:] for row in labels[facet]] if facet == FACETS[0] else labels[facet]
        contexts += [(facet, label, own) for label, own in _labelled(rows)]
    items = np.full((len(contexts), PLACES), -1, np.int32)
    events = np.zeros((len(contexts), PLACES), np.int32)
    for at, (_, _, own) in enumerate(contexts):
        used = own[counts[own] > 0]
        best = used[np.argsort(-counts[used], kind="stable")][:PLACES]
        items[at, : len(best)], events[at, : len(best)] = best, counts[best]
    root = folder / FOLDER
    root.mkdir()
    np.save(root / "items.npy", items, allow_pickle=False)
    np.save(root / "events.npy", events, allow_pickle=False)
    listed = [[facet, label, len(own)] for facet, label, own in contexts]
    described = {"days": WEEK_DAYS if clock else None, "contexts": listed}
    (root / "contexts.json").write_text(json.dumps(described, ensure_ascii=False) + "\n", "utf-8")


def _labelled(rows: Labels) -> list[tuple[str, IntArray]]:
    """Labels that form a context, most frequent first, each with its items in ascending order."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for item, row in enumerate(rows):
        for label in dict.fromkeys(row):
            found[label].append(item)
    kept = sorted(found, key=lambda label: (-len(found[label]), label))
    kept = [label for label in kept if LEAST <= len(found[label]) < WHOLE * len(rows)]
    return [(label, np.array(found[label])) for label in kept[:MOST]]


def _counts(past: Histories, n: int, clock: bool) -> IntArray:
    """[n] events of the last week, or all events if there is no clock; an account with unusually many counts as one
    with many."""
    if clock and len(past.items):
        past = past.where(past.times > data_end(past.rows, past.times) - WEEK_DAYS * DAY)
    return np.rint(np.bincount(past.items, past.counted, n)).astype(np.int64)


MEDIA = {"video": "videos", "podcast": "podcasts", "game": "games", "live": "live"}
LANGUAGES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def name(facet: str, label: str) -> str:
    """A label as displayed to users; languages without a name here are displayed as their tag."""
    if facet == "languages":
        return LANGUAGES.get(label, label)
    return MEDIA.get(label, label) if facet == "media_types" else label
