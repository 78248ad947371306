"""Tables of the first pass over the catalogue, completed in the second pass with the predicted tags."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.understanding.schema import FIELDS_SCHEMA, SCHEMAS, SCORES, WORDS, Tables
from nightreel.understanding.tags.tagger import Tagger
from nightreel.understanding.vector_spool import Spool

SUFFIX = ".draft"


def draft(folder: Path) -> Tables:
    """The first pass's tables; each block is a row group."""
    return Tables(folder, SUFFIX)


def finish(folder: Path, tagger: Tagger | None, spool: Spool | None) -> None:
    """Rename the drafts, and add to items and provenance the tags of each item in the spool."""
    if tagger is not None and spool is not None:
        with Tables(folder) as tables:
            _tagged(folder, tagger, spool, tables)
    for name in SCHEMAS:
        path = folder / f"{name}{SUFFIX}.parquet"
        if tagger is not None and name in ("items", "provenance"):
            path.unlink()
        else:
            path.replace(folder / f"{name}.parquet")


def _tagged(folder: Path, tagger: Tagger, spool: Spool, tables: Tables) -> None:
    with (
        pq.ParquetFile(folder / f"items{SUFFIX}.parquet") as items,
        pq.ParquetFile(folder / f"provenance{SUFFIX}.parquet") as provenance,
    ):
        start = 0
        for group in range(items.num_row_groups):
            block, notes = items.read_row_group(group), provenance.read_row_group(group).to_pylist()
            ids = block["item_id"].to_pylist()
            tags: list[list[str]] = [[] for _ in ids]
            scores: list[list[float]] = [[] for _ in ids]
            records = spool.next_until(start + len(ids))
            for record, (own, likely) in zip(records, tagger.tags(records["vector"]), strict=True):
                at = int(record["row"]) - start
                tags[at], scores[at] = own, likely
                if own:
                    notes.append(
                        {
                            "item_id": ids[at],
                            "field": "tags",
                            "producer": "tags",
                            "input": record["digest"].decode(),
                            "score": likely[0],
                            "skipped": None,
                        }
                    )
            place = {item: at for at, item in enumerate(ids)}
            notes.sort(key=lambda note: place[note["item_id"]])
            block = _with(_with(block, "tags", pa.array(tags, WORDS)), "tag_scores", pa.array(scores, SCORES))
            tables.add({"items": block, "provenance": pa.Table.from_pylist(notes, SCHEMAS["provenance"])})
            start += len(ids)


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    at = FIELDS_SCHEMA.get_field_index(name)
    return table.set_column(at, FIELDS_SCHEMA.field(at), column)
