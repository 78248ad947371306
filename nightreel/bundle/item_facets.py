"""Attributes of a bundle's items for filters, caps, reasons and text search; columns are read on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.context_popularity import Contexts
from nightreel.bundle.format import BundleError
from nightreel.bundle.item_table import Mask
from nightreel.data.arrow_columns import numbers
from nightreel.data.contract.editorial_rules import comparable, general_languages
from nightreel.data.histories import FloatArray

Lists = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Facets:
    """Attributes of items. path: the bundle's items.parquet. A missing column is empty for every item."""

    path: Path

    def __len__(self) -> int:
        return self._file.metadata.num_rows  # type: ignore[no-any-return]

    def load(self) -> None:
        """Read now what is otherwise read on demand: a running service must not need the files again, which may be gone
        by then.

        Raises:
            BundleError: One of them is not of the form that a bundle has.
        """
        for name in ("genres", "creators", "languages", "media_types", "min_ages", "contexts"):
            try:
                getattr(self, name)
            except (ValueError, TypeError, LookupError, OverflowError, NotImplementedError) as error:
                raise BundleError(f"{self.path}: {name}: can't be read ({error}). Use another version.") from None

    @cached_property
    def genres(self) -> Lists:
        """[n] labels of each item."""
        return self._lists("genres")

    @cached_property
    def creators(self) -> Lists:
        """[n] creators of each item."""
        return self._lists("creators")

    @cached_property
    def languages(self) -> Lists:
        """[n] language of each item, followed by the more general languages, in lower case: zh-hant, zh."""
        return tuple(general_languages(row[0]) if row else () for row in self._lists("language"))

    @cached_property
    def media_types(self) -> Lists:
        """[n] media types of each item (video, audio, …), or nothing."""
        return self._lists("media_type")

    @cached_property
    def min_ages(self) -> FloatArray:
        """[n] minimum age of each item's audience; NaN if unknown."""
        if "min_age" not in self._file.schema_arrow.names:
            return np.full(len(self), np.nan)
        return numbers(pq.ParquetFile(self.path).read(columns=["min_age"])["min_age"].cast(pa.float64()), np.nan)

    def unsuitable(self, audience_age: float | None) -> Mask:
        """[n] items that do not suit an age in years, or of which nothing says that they do; none without an age."""
        if audience_age is None:
            return np.zeros(len(self), bool)
        return ~(self.min_ages <= audience_age)

    @cached_property
    def contexts(self) -> Contexts | None:
        """Popular items by context; None if the bundle has none."""
        return Contexts.read(self.path.parent)

    def texts(self, name: str) -> Lists:
        """[n] texts of a column: a list's entries, or the one text of a plain column. Not cached."""
        return self._lists(name)

    def holding(self, facet: str, wanted: Collection[str]) -> Mask:
        """[n] items that have at least one of the wanted labels, in any case and Unicode form."""
        names = {general_languages(name)[0] if facet == "languages" else comparable(name) for name in wanted}
        rows: Lists = getattr(self, facet)
        forms = {label: comparable(label) in names for label in {label for row in rows for label in row}}
        return np.fromiter((any(forms[label] for label in row) for row in rows), bool, len(rows))

    @cached_property
    def _file(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path)

    def _lists(self, name: str) -> Lists:
        if name not in self._file.schema_arrow.names:
            return ((),) * len(self)
        # Opened again, because a ParquetFile can't be read from several threads.
        cells = pq.ParquetFile(self.path).read(columns=[name])[name].to_pylist()
        return tuple((cell,) if isinstance(cell, str) else tuple(cell or ()) for cell in cells)


def commonest(rows: Iterable[Sequence[str]], most: int) -> list[str]:
    """The most frequent labels, in alphabetical order, each in its most frequent form.

    Example:
        >>> commonest([("Drama", "War"), ("Drama",), ("drama", "Crime"), ("Crime",)], most=2)
        ['Crime', 'Drama']
    """
    forms: dict[str, Counter[str]] = {}
    for label, count in Counter(label for row in rows for label in row).items():
        forms.setdefault(comparable(label), Counter())[label] = count
    ranked = sorted(forms, key=lambda form: (-forms[form].total(), form))[:most]
    return sorted(min(forms[form], key=lambda label: (-forms[form][label], label)) for form in ranked)
