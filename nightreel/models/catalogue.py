"""The items as arrays: content vectors, most common genres, release years, word counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp

from nightreel.data.arrow_columns import numbers
from nightreel.models.ann_index import FILE, Nearest
from nightreel.models.base import Catalogue
from nightreel.models.content_vectors import read
from nightreel.models.term_counts import word_counts

GENRES = 64  # most common genres; others are too rare to learn from
YEAR_US = 365.2425 * 86_400e6
WORDED = (
    "title",
    "genres",
    "tags",
    "creators",
    "description",
)  # not the transcript, whose words say little about the item
TITLE_YEAR = r"\((?P<year>\d{4})\)\s*$"  # "Heat (1995)", used where published_at is missing


def release_years(items: pa.Table) -> npt.NDArray[np.float32]:
    """[n] the year of `published_at`, else one in brackets at the end of the title, else NaN."""
    named = pc.struct_field(pc.extract_regex(items["title"], TITLE_YEAR), "year")
    years = numbers(named.cast(pa.float32()), np.nan)
    if "published_at" in items.column_names:
        moments = items["published_at"].cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False)
        dated = numbers(moments, np.nan)
        years = np.where(np.isnan(dated), years, 1970 + dated / YEAR_US)
    return years.astype(np.float32)


def genre_matrix(items: pa.Table) -> npt.NDArray[np.float32]:
    """[n, g] multi-hot encoding of the most common genres, g at most GENRES; g = 0 without genres."""
    if "genres" not in items.column_names:
        return np.zeros((items.num_rows, 0), np.float32)
    lists = items["genres"].combine_chunks()
    row, coded = numbers(pa.chunked_array([pc.list_parent_indices(lists)]), 0), lists.flatten().dictionary_encode()
    names = coded.dictionary.to_pylist()
    code = numbers(pa.chunked_array([coded.indices]), len(names))  # one more code for null
    has = np.zeros((items.num_rows, len(names) + 1), np.bool_)
    has[row, code] = True
    counts = has.sum(axis=0)
    kept = sorted(range(len(names)), key=lambda at: (-counts[at], names[at]))[:GENRES]
    return np.ascontiguousarray(has[:, kept], np.float32)  # row-major, because rows (items) are looked up


def texts(items: pa.Table) -> Iterator[list[str]]:
    """Texts of each item: its fields of WORDED that exist; every entry of a list is a text."""
    columns = [items[name].to_pylist() for name in WORDED if name in items.column_names]
    for row in zip(*columns, strict=True):
        yield [text for cell in row for text in ([cell] if isinstance(cell, str) else cell or ()) if text]


@dataclass(frozen=True)
class WordCounter:
    """Counts the words of an items table or of its file on first use: half a second for 10,000 items with descriptions.

    A class, not a closure, because a catalogue is sent to other processes.
    """

    items: pa.Table | Path

    def __call__(self) -> sp.csr_matrix:
        return self.counts

    @cached_property
    def counts(self) -> sp.csr_matrix:
        """[n, words] counts of words and of creators' names."""
        whole = pq.ParquetFile(self.items).read() if isinstance(self.items, Path) else self.items
        creators = whole["creators"].to_pylist() if "creators" in whole.column_names else []
        return word_counts(list(texts(whole)), {name for row in creators for name in row or () if name})


def catalogue_of(items: pa.Table, vectors: npt.NDArray[np.float32]) -> Catalogue:
    """Make a catalogue from an items table and its content vectors [n, d].

    Raises:
        ValueError: Their lengths differ.
    """
    return _catalogue(items, vectors, WordCounter(items))


def catalogue_in(folder: Path, expansion: int) -> Catalogue:
    """Open the catalogue of a bundle's folder, with memory-mapped vectors. expansion: see `Nearest.open`."""
    path = folder / "items.parquet"
    vectors, changed = read(folder)
    # Not read_table: it imports pandas where that is installed, which takes 0.3 s.
    file = pq.ParquetFile(path)
    needed = [name for name in ("title", "genres", "published_at") if name in file.schema_arrow.names]
    catalogue = _catalogue(file.read(columns=needed), vectors, WordCounter(path))
    nearest = Nearest.open(folder / FILE, vectors, changed, expansion)
    return replace(catalogue, nearest=nearest, changed=changed)


def _catalogue(items: pa.Table, vectors: npt.NDArray[np.float32], words: WordCounter) -> Catalogue:
    if len(vectors) != items.num_rows:
        raise ValueError(f"{items.num_rows} items but {len(vectors)} content vectors")
    return Catalogue(vectors, genre_matrix(items), release_years(items), words)
