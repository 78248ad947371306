"""Characteristic words of a set of items, with weights, for the report's word clouds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import pyarrow as pa

from nightreel.models.term_counts import words_of
from nightreel.understanding.text.stopwords import FUNCTION_WORDS

LABELS, TEXTS = ("genres", "tags", "creators"), ("title", "description")
MOST = 24  # words in a cloud
COMMON = 0.05  # words in the texts of more than this share of the items are ignored; labels are not
FUNCTION = frozenset(word for words in FUNCTION_WORDS.values() for word in words)
SHORTEST = 4  # fewest letters of a word in ASCII


@dataclass(frozen=True)
class Words:
    """rows: each item's words and labels, each once; items: word → how many items have it."""

    rows: Sequence[frozenset[str]]
    items: Counter[str]

    @classmethod
    def of(cls, items: pa.Table) -> Words:
        """Build from a catalogue, any of whose columns may be missing."""
        labels = [items[name].to_pylist() for name in LABELS if name in items.column_names]
        texts = [items[name].to_pylist() for name in TEXTS if name in items.column_names]
        known = [frozenset(label for cells in labels for label in cells[n] or ()) for n in range(items.num_rows)]
        said = [
            frozenset(word for cells in texts for word in words_of(cells[n] or "") if _telling(word))
            for n in range(items.num_rows)
        ]
        counts = Counter(word for row in said for word in row)
        common = {word for word, count in counts.items() if count > COMMON * max(items.num_rows, 1)}
        # A word that is also a label is counted as the label.
        folded = {label.casefold() for row in known for label in row}
        rows = [
            own | {word for word in row - common if word not in folded} for own, row in zip(known, said, strict=True)
        ]
        return cls(rows, Counter(word for row in rows for word in row))

    def cloud(self, items: Sequence[int]) -> list[tuple[str, float]]:
        """The MOST words with the highest tf-idf over the items, in alphabetical order; weights up to 1.

        Words of a single item are omitted if there are several, since they do not describe the set.
        """
        counts = Counter(word for item in items for word in self.rows[item])
        least = 2 if len(items) > 2 else 1
        n = len(self.rows) + 1
        weights = {word: count * log(n / self.items[word]) for word, count in counts.items() if count >= least}
        chosen = sorted(weights, key=lambda word: (-weights[word], word))[:MOST]
        top = max((weights[word] for word in chosen), default=1.0)
        return [(word, round(weights[word] / top, 3)) for word in sorted(chosen, key=str.casefold)]


def _telling(word: str) -> bool:
    return not word.isdigit() and word not in FUNCTION and (len(word) >= SHORTEST or not word.isascii())
