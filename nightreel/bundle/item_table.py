"""A bundle's items: ids, titles, and which of them may be shown at a given time."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.format import BundleError
from nightreel.data.contract.editorial_rules import comparable_id
from nightreel.data.histories import FloatArray
from nightreel.data.item_rights import Rights
from nightreel.errors import UserError

Mask = npt.NDArray[np.bool_]
_FUZZY_MAX = 50_000  # names; a fuzzy comparison with more of them takes seconds


@dataclass(frozen=True)
class ItemTable:
    """Items in index order.

    Attributes:
        ids: [n] item ids.
        titles: [n] titles.
        labels: [n] lists of genres.
        blocked: [n] whether an item is blocked; with the next two its rights, see nightreel.data.item_rights. Nothing
            else decides what may be shown.
        published: [n] start of availability, epoch seconds.
        expires: [n] end of availability, epoch seconds.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    labels: pa.ListArray | None
    blocked: Mask
    published: FloatArray
    expires: FloatArray

    @classmethod
    def read(cls, path: Path) -> ItemTable:
        """Read items.parquet; genres, blocked, published_at and expires_at are optional columns. Raises BundleError
        unless every item has an id of its own."""
        wanted = ("item_id", "title", "genres", "blocked", "published_at", "expires_at")
        # Not read_table, to_numpy and the like: they import pandas if it is installed, which takes 0.3 s.
        file = pq.ParquetFile(path)
        table = file.read(columns=[name for name in file.schema_arrow.names if name in wanted])
        cells = {name: table[name] for name in table.column_names}
        labels = cells["genres"].combine_chunks() if "genres" in cells else None
        rights = Rights.of(table)
        ids, titles = (cells[name].to_pylist() for name in ("item_id", "title"))
        if cells["item_id"].null_count or len(set(ids)) != len(ids):
            raise BundleError(f"{path}: item_id is empty or occurs twice. Use another version.")
        if cells["title"].null_count:
            titles = [title or "" for title in titles]
        return cls(tuple(ids), tuple(titles), labels, rights.blocked, rights.published, rights.expires)

    def with_rights(self, rights: Rights) -> ItemTable:
        """The same items with other rights, [n] each."""
        other = replace(self, blocked=rights.blocked, published=rights.published, expires=rights.expires)
        # Cached values that depend only on ids and labels stay valid.
        kept = ("genres", "column", "_index", "_forms")
        other.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return other

    @cached_property
    def genres(self) -> tuple[tuple[str, ...], ...]:
        """[n] each item's genres."""
        rows = self.labels.to_pylist() if self.labels is not None else [None] * len(self)
        return tuple(tuple(row or ()) for row in rows)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def column(self) -> pa.Array:
        """The ids as an Arrow array."""
        return pa.array(self.ids, pa.string())

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item: i for i, item in enumerate(self.ids)}

    @cached_property
    def _forms(self) -> dict[str, int]:
        """The rows of ids that are not in comparable form themselves, by that form."""
        forms = ((comparable_id(item), i) for i, item in enumerate(self.ids))
        return {form: i for form, i in forms if form != self.ids[i]}

    def index_of(self, item_id: str) -> int | None:
        """Row of an item; None if the bundle does not know it. Spaces at the ends and Unicode's forms don't matter,
        unless two ids differ by them alone."""
        row = self._index.get(item_id)
        if row is None:
            form = comparable_id(item_id)
            row = self._index.get(form, self._forms.get(form))
        return row

    def rows_of(self, ids: Iterable[str]) -> list[int]:
        """Rows of the known ids, each once, in order."""
        found = map(self.index_of, ids)
        return list(dict.fromkeys(row for row in found if row is not None))

    def require(self, name: str, hidden: Mask | None = None) -> int:
        """Find an item by id, or by exact title if it is unique.

        Args:
            name: Id or title.
            hidden: [n] items that may not be shown, and so are not suggested.

        Returns:
            The item's row.

        Raises:
            UserError: There is no such item; the message suggests similar ones.
        """
        index = self.index_of(name)
        if index is not None:
            return index
        wanted = _folded(name)
        titled = [i for i, title in enumerate(self.titles) if _folded(title) == wanted]
        if len(titled) == 1:
            return titled[0]
        near = [i for i in titled or self._near(name) if hidden is None or not hidden[i]]
        hint = "; ".join(f"{self.ids[i]} ({self.titles[i]})" for i in near[:5])
        raise UserError(
            f"{name!r}: no item has this id or title. "
            + (f"Did you mean {hint}?" if near else "Take an id from the item_id column of the catalogue.")
        )

    def _near(self, name: str) -> list[int]:
        wanted = _folded(name)
        holding = [i for i, title in enumerate(self.titles) if wanted and wanted in _folded(title)]
        if holding or len(self) > _FUZZY_MAX:
            return holding
        names = {_folded(self.titles[i]): i for i in reversed(range(len(self)))} | self._index
        return [names[found] for found in difflib.get_close_matches(wanted, names, n=5)]

    @cached_property
    def rights(self) -> Rights:
        """Which items may be shown at what time."""
        return Rights(self.blocked, self.published, self.expires)

    def hidden(self, instant: float) -> Mask:
        """[n] items that may not be shown at a time, epoch seconds."""
        return self.rights.hidden(instant)

    def gone(self, instant: float) -> Mask:
        """[n] items that are blocked or expired at a time: they do not come back as time passes."""
        return self.blocked | (self.expires <= instant)

    def why_hidden(self, index: int, instant: float) -> str | None:
        """Why an item may not be shown: "blocked", "upcoming" or "expired"; None if it may."""
        if self.blocked[index]:
            return "blocked"
        if self.expires[index] <= instant:
            return "expired"
        return "upcoming" if self.published[index] > instant else None

    def span(self, instant: float) -> int:
        """Number, from 0, of the interval around a time in which the set of hidden items does not change."""
        return bisect_right(self._edges, instant)

    @cached_property
    def _edges(self) -> list[float]:
        return self.rights.edges()

    def hiding(self, ids: Collection[str]) -> ItemTable:
        """The same items, of which exactly these are hidden, at any time, so that an evaluation can be repeated on
        another day. Unknown ids are ignored."""
        blocked = np.zeros(len(self), bool)
        blocked[[self._index[each] for each in ids if each in self._index]] = True
        always = np.full(len(self), np.inf)
        return replace(self, blocked=blocked, published=-always, expires=always)


def _folded(title: str) -> str:
    """A title as it is looked up: without case, with composed letters."""
    return normalize("NFC", title).casefold()
