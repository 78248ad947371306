"""The tables that the catalogue page is made from, written by validate, understand and embed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.stage import read_object

Row = dict[str, Any]
Vectors = npt.NDArray[np.float32]
GIVEN = ("item_id", "title", "genres", "tags", "creators", "language", "media_type", "description")
HEAVY = {"segments", "sound", "picture", "transcript"}
"""Derived columns that are read only for the items shown."""


@dataclass(frozen=True)
class CatalogueTables:
    """The catalogue's tables, all in the catalogue's order.

    given: the source's columns; derived: understand's small columns; vectors: [n, dim], memory-mapped; folder:
    understand's output; cards: producer → its description; metrics: understand's.
    """

    recipe: str
    given: pa.Table
    derived: pa.Table
    vectors: Vectors | None
    folder: Path
    cards: Row
    metrics: Row

    def __len__(self) -> int:
        return int(self.given.num_rows)

    def rows(self, at: list[int]) -> list[Row]:
        """All fields of some items, with the derived ones under `derived`. at: their rows."""
        path = self.folder / "items.parquet"
        heavy = [name for name in pq.read_schema(path).names if name in HEAVY]
        more = pq.read_table(path, columns=heavy).take(pa.array(at, pa.int64())).to_pylist()
        own, derived = (table.take(pa.array(at, pa.int64())).to_pylist() for table in (self.given, self.derived))
        return [one | {"derived": light | rest} for one, light, rest in zip(own, derived, more, strict=True)]

    def frames(self, items: list[str]) -> dict[str, list[Row]]:
        """Item → its video frames (time_s, jpeg)."""
        table = self._of("frames", items, ["item_id", "time_s", "jpeg"])
        found: dict[str, list[Row]] = {}
        for row in table.to_pylist():
            found.setdefault(row["item_id"], []).append(row)
        return found

    def gaps(self, items: list[str]) -> dict[str, list[Row]]:
        """Item → provenance rows of its missing fields, with the reason."""
        found: dict[str, list[Row]] = {}
        for row in self._of("provenance", items, ["item_id", "field", "skipped"]).to_pylist():
            if row["skipped"]:
                found.setdefault(row["item_id"], []).append(row)
        return found

    def origins(self) -> list[Row]:
        """Number of items by field and producer, or by missing field and reason; the most frequent first."""
        notes = pq.read_table(self.folder / "provenance.parquet", columns=["field", "producer", "skipped"])
        # A number in brackets is specific to one item, so it must not make a reason of its own.
        reasons = pc.replace_substring_regex(notes["skipped"], r" \([^()]*\d[^()]*\)$", "")
        notes = notes.set_column(2, "skipped", reasons)
        counted = notes.group_by(["field", "producer", "skipped"]).aggregate([([], "count_all")]).to_pylist()
        return sorted(counted, key=lambda row: (-row["count_all"], row["field"], row["skipped"] or ""))

    def review(self, most: int) -> list[Row]:
        """The first answers of the language model that failed the checks."""
        rows: list[Row] = pq.read_table(self.folder / "review.parquet").slice(0, most).to_pylist()
        return rows

    def labels(self) -> list[tuple[str, ...]]:
        """The labels of each item: its genres, else its predicted tags, else its medium."""
        own = zip(
            *(
                self._column(table, name)
                for table, name in ((self.given, "genres"), (self.derived, "tags"), (self.given, "media_type"))
            ),
            strict=True,
        )
        return [tuple(genres or tags or ([medium] if medium else [])) for genres, tags, medium in own]

    def media(self) -> list[str]:
        """The medium of each item; empty if unknown."""
        return [medium or "" for medium in self._column(self.given, "media_type")]

    def kinds(self, fields: Sequence[str]) -> list[tuple[bool, ...]]:
        """Which of these fields each item has, by its provenance."""
        notes = pq.read_table(self.folder / "provenance.parquet", columns=["item_id", "field", "skipped"])
        notes = notes.filter(pc.is_null(notes["skipped"]))
        ids, columns = self.given["item_id"], []
        for field in fields:
            noted = notes.filter(pc.equal(notes["field"], {"frames": "pictures"}.get(field, field)))
            columns.append(pc.is_in(ids, value_set=noted["item_id"].combine_chunks()).to_pylist())
        return list(zip(*columns, strict=True))

    def _column(self, table: pa.Table, name: str) -> list[Any]:
        return table[name].to_pylist() if name in table.column_names else [None] * len(self)

    def _of(self, name: str, items: list[str], columns: list[str]) -> pa.Table:
        table = pq.read_table(self.folder / f"{name}.parquet", columns=columns)
        return table.filter(pc.is_in(table["item_id"], pa.array(items, pa.string())))


def read_catalogue(data: Path, metrics: Path) -> CatalogueTables | None:
    """Read the tables from a run's folders; None if stage understand has not run.

    The vectors are the candidate's, or those of stage embed if there is no candidate.
    """
    folder, items = data / "understand", data / "validate" / "items.parquet"
    if not (items.exists() and (folder / "items.parquet").exists()):
        return None
    there, light = pq.read_schema(items).names, pq.read_schema(folder / "items.parquet").names
    given = pq.read_table(items, columns=[name for name in GIVEN if name in there])
    paths = [data / "finetune" / "candidate" / "vectors.npy", data / "embed" / "vectors.npy"]
    maps = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths if path.exists()]
    return CatalogueTables(
        recipe=str(read_object(data / "snapshot" / "recipe.json").get("recipe", "")),
        given=given,
        derived=pq.read_table(folder / "items.parquet", columns=[name for name in light if name not in HEAVY]),
        # A candidate of an earlier run may have another catalogue.
        vectors=next((each for each in maps if len(each) == given.num_rows), None),
        folder=folder,
        cards=read_object(folder / "understand.json"),
        metrics=read_object(metrics / "understand.json"),
    )
