"""The catalogue as arrays: content vectors, commonest genres, release years, words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from tasks.models.protocol import Catalogue
from tasks.models.words import word_counts

GENRES = 64  # the feature's width: beyond the 64 commonest a genre is too rare to learn from
YEAR_US = 365.2425 * 86_400e6
WORDED = ("title", "genres", "tags", "creators", "description")  # a transcript's words tell little of the item
TITLE_YEAR = re.compile(r"\((\d{4})\)\s*$")  # "Heat (1995)": how films are titled where published_at is missing


def release_years(items: pa.Table) -> npt.NDArray[np.float32]:
    """[n] the year of `published_at`, else one in brackets at the title's end, else NaN."""
    years = np.full(items.num_rows, np.nan, np.float32)
    if "published_at" in items.column_names:
        # As microseconds: timestamps as Python objects import pandas where that is installed, which takes 0.3 s.
        for i, moment in enumerate(items["published_at"].cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()):
            if moment is not None:
                years[i] = 1970 + moment / YEAR_US
    for i, title in enumerate(items["title"].to_pylist()):
        found = TITLE_YEAR.search(title or "")
        if np.isnan(years[i]) and found:
            years[i] = float(found[1])
    return years


def genre_matrix(items: pa.Table) -> npt.NDArray[np.float32]:
    """[n, g] multi-hot over the commonest genres, g at most GENRES; zero columns where the table has none."""
    if "genres" not in items.column_names:
        return np.zeros((items.num_rows, 0), np.float32)
    lists = [row or [] for row in items["genres"].to_pylist()]
    counts = Counter(genre for row in lists for genre in set(row))
    names = sorted(counts, key=lambda name: (-counts[name], name))[:GENRES]
    index = {name: at for at, name in enumerate(names)}
    matrix = np.zeros((len(lists), len(names)), np.float32)
    for i, row in enumerate(lists):
        for genre in row:
            if genre in index:
                matrix[i, index[genre]] = 1.0
    return matrix


def texts(items: pa.Table) -> Iterator[list[str]]:
    """Each item's texts: the fields of WORDED that the table has; lists give a text an entry."""
    columns = [items[name].to_pylist() for name in WORDED if name in items.column_names]
    for row in zip(*columns, strict=True):
        yield [text for cell in row for text in ([cell] if isinstance(cell, str) else cell or ()) if text]


def catalogue_of(items: pa.Table, vectors: npt.NDArray[np.float32]) -> Catalogue:
    """From an items table and its content vectors [n, d]; raises ValueError when their lengths differ.

    The words are counted when first asked for: 10,000 items with descriptions take half a second.
    """
    if len(vectors) != items.num_rows:
        raise ValueError(f"{items.num_rows} items but {len(vectors)} content vectors")

    @cache
    def count() -> sp.csr_matrix:
        return word_counts(list(texts(items)))

    return Catalogue(vectors, genre_matrix(items), release_years(items), count)
