"""The tables of data/understand: derived fields, one row per item, and the provenance of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

WORDS, SCORES = pa.list_(pa.string()), pa.list_(pa.float32())
SEGMENTS = pa.list_(
    pa.struct([pa.field("start_s", pa.float32()), pa.field("end_s", pa.float32()), pa.field("text", pa.string())])
)
FIELDS_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string()),
        pa.field("language", pa.string()),
        pa.field("keywords", WORDS),
        pa.field("keyword_scores", SCORES),
        pa.field("summary", pa.string()),
        pa.field("written_summary", pa.string()),
        pa.field("themes", WORDS),
        pa.field("tags", WORDS),
        pa.field("tag_scores", SCORES),
        pa.field("sentiment", pa.string()),
        pa.field("sentiment_score", pa.float32()),
        pa.field("comment_tone", pa.float32()),
        pa.field("comments_read", pa.int32()),
        pa.field("transcript", pa.string()),
        pa.field("segments", SEGMENTS),
        pa.field("sound", SCORES),
        *(pa.field(f"{name}_share", pa.float32()) for name in ("speech", "music", "silence")),
        pa.field("picture", SCORES),
    ]
)
"""Only derived fields: null if the catalogue has the field itself, or if there is no result; lists of words are
never null. keyword_scores are cosines, tag_scores calibrated probabilities; sentiment_score is the probability of
positive minus that of negative sentiment, comment_tone its mean over `comments_read` comments; segments is the
transcript with times in seconds; sound and picture are vectors; the shares are shares of the sound's seconds."""
FRAMES_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string()),
        pa.field("time_s", pa.float32()),
        pa.field("vector", SCORES),
        pa.field("jpeg", pa.binary()),
    ]
)
"""One row per processed frame; jpeg: a thumbnail for display."""
REVIEW_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("item_id", "prompt", "reason", "answer")])
"""Rejected outputs of the language model with the reason; prompt is the hash of the prompt."""
PROVENANCE_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("producer", pa.string()),
        pa.field("input", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("skipped", pa.string()),
    ]
)
"""One row per derived field of an item: producer names a card in understand.json, input is the sha256 of the input,
score is the field's own (or its best), and `skipped` is the reason if there is no field."""
ROWS = 2048
"""Items per row group: as Python objects, they take many times their bytes."""
SCHEMAS = {"items": FIELDS_SCHEMA, "frames": FRAMES_SCHEMA, "provenance": PROVENANCE_SCHEMA, "review": REVIEW_SCHEMA}


@dataclass
class Understood:
    """Fields derived for a block of the catalogue, row by row; filled by the stage."""

    item_ids: list[str]
    cards: dict[str, Any] = field(default_factory=dict)
    """Producer → its description: model, revision, digest of its weights; the same for all blocks."""
    review: list[dict[str, Any]] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(init=False)
    provenance: list[list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        empty: dict[str, Any] = {"keywords": [], "keyword_scores": [], "themes": [], "tags": [], "tag_scores": []}
        self.fields = [{"item_id": item, **empty} for item in self.item_ids]
        self.provenance = [[] for _ in self.item_ids]

    def put(
        self, row: int, name: str, producer: str, seen: str, values: dict[str, Any], score: float | None = None
    ) -> None:
        """Set fields of one producer for an item; `name` is the field that provenance lists."""
        self.fields[row].update(values)
        self._note(row, field=name, producer=producer, input=seen, score=score, skipped=None)

    def skip(self, row: int, name: str, producer: str, seen: str | None, reason: str) -> None:
        """Record why an item has no such field."""
        self._note(row, field=name, producer=producer, input=seen, score=None, skipped=reason)

    def _note(self, row: int, **facts: Any) -> None:
        self.provenance[row].append({"item_id": self.item_ids[row], **facts})

    def tables(self) -> Iterator[dict[str, pa.Table]]:
        """Yield items, frames, provenance and review, in the catalogue's order, of at most ROWS items at once."""
        review = self.review
        for start in range(0, len(self.fields), ROWS):
            some = self.fields[start : start + ROWS]
            notes = [note for own in self.provenance[start : start + ROWS] for note in own]
            frames = [
                {"item_id": row["item_id"], "time_s": time, "vector": vector, "jpeg": jpeg}
                for row in some
                for time, vector, jpeg in row.get("frames", ())
            ]
            items = [{name: row.get(name) for name in FIELDS_SCHEMA.names} for row in some]
            rows = {"items": items, "frames": frames, "provenance": notes, "review": review}
            yield {name: pa.Table.from_pylist(rows[name], schema) for name, schema in SCHEMAS.items()}
            review = []

    def write(self, folder: Path) -> None:
        """Write all tables, if the block is the whole catalogue."""
        with Tables(folder) as tables:
            for part in self.tables():
                tables.add(part)


class Tables:
    """The tables in a folder, written block by block; a context manager."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self.writers = {
            name: pq.ParquetWriter(folder / f"{name}{suffix}.parquet", schema, compression="zstd")
            for name, schema in SCHEMAS.items()
        }

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Append a block, as a row group of its own."""
        for name, table in tables.items():
            self.writers[name].write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self.writers.values():
            writer.close()
