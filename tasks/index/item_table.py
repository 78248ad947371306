"""A bundle's items as a reader needs them: names, and who may be shown at what moment."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data.histories import FloatArray, Histories
from tasks.data.schema import MOMENT
from tasks.models.catalogue import numbers
from tasks.stage import UserError

Mask = npt.NDArray[np.bool_]
_FUZZY_MAX = 50_000  # names: comparing more of them letter by letter takes seconds


@dataclass(frozen=True)
class ItemTable:
    """Items in index order.

    ids, titles: [n]; labels: [n] lists of genres; blocked: [n]; expires: [n] float64, epoch seconds, +inf for never.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    labels: pa.ListArray | None
    blocked: Mask
    expires: FloatArray

    @classmethod
    def read(cls, path: Path) -> ItemTable:
        """From items.parquet; genres, blocked and expires_at are optional columns."""
        wanted = ("item_id", "title", "genres", "blocked", "expires_at")
        # Not read_table, to_numpy and the like: they import pandas where it is installed, which takes 0.3 s.
        file = pq.ParquetFile(path)
        table = file.read(columns=[name for name in file.schema_arrow.names if name in wanted])
        cells = {name: table[name] for name in table.column_names}
        n = table.num_rows
        labels = cells["genres"].combine_chunks() if "genres" in cells else None
        blocked = numbers(cells["blocked"].cast(pa.uint8()), 0) > 0 if "blocked" in cells else np.zeros(n, bool)
        expires = np.full(n, np.inf)
        if "expires_at" in cells:
            moments = cells["expires_at"].cast(MOMENT).cast(pa.int64()).cast(pa.float64(), safe=False)
            expires = numbers(moments, np.inf) / 1e6
        ids, titles = (cells[name].to_pylist() for name in ("item_id", "title"))
        if cells["title"].null_count:
            titles = [title or "" for title in titles]
        return cls(tuple(ids), tuple(titles), labels, blocked, expires)

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

    def index_of(self, item_id: str) -> int | None:
        """Row of an item; None when the bundle does not know it."""
        return self._index.get(item_id)

    def require(self, name: str) -> int:
        """Row of the item with this id, or this exact title if only one has it; raises UserError with near matches."""
        index = self.index_of(name)
        if index is not None:
            return index
        titled = [i for i, title in enumerate(self.titles) if title.casefold() == name.casefold()]
        if len(titled) == 1:
            return titled[0]
        near = titled or self._near(name)
        hint = "; ".join(f"{self.ids[i]} ({self.titles[i]})" for i in near[:5])
        raise UserError(
            f"{name!r}: no item has this id or title. "
            + (f"Near it: {hint}." if near else "Take an id from the item_id column of the catalogue.")
        )

    def _near(self, name: str) -> list[int]:
        wanted = name.casefold()
        holding = [i for i, title in enumerate(self.titles) if wanted and wanted in title.casefold()]
        if holding or len(self) > _FUZZY_MAX:
            return holding
        names = {self.titles[i].casefold(): i for i in reversed(range(len(self)))} | self._index
        return [names[found] for found in difflib.get_close_matches(wanted, names, n=5)]

    def hidden(self, instant: float) -> Mask:
        """[n] items that nobody may be shown at an instant (epoch seconds; NaN: nothing has expired)."""
        return self.blocked | (self.expires <= instant)

    def expired_rows(self, instants: FloatArray, exclude: Histories | None) -> Histories | None:
        """`exclude` and, in each row, the items that have expired by that row's instant [n] (NaN: none have)."""
        row, item = np.nonzero(self.expires[self._perishable] <= instants[:, None])
        if not len(row):
            return exclude
        rows, items = row, self._perishable[item]
        if exclude is not None:
            rows, items = np.concatenate([exclude.rows, rows]), np.concatenate([exclude.items, items])
        return Histories.from_events(rows, items, np.zeros(len(rows)), len(instants))

    @cached_property
    def _perishable(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.isfinite(self.expires))
