"""Stage understand: derive fields for each item from its text and media, with the provenance of every field.

Works block by block, so that memory does not grow with the catalogue. Pass 1 computes everything except tags; then the
tagger is trained on the results, and pass 2 predicts tags.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nightreel.content.encoders.registry import resolve_encoder
from nightreel.settings.params_file import load
from nightreel.stage import save_run_note, stage_main, staged_output, write_json
from nightreel.store.media_objects import MediaObjects
from nightreel.understanding.pipeline import UnderstandPipeline
from nightreel.understanding.schema import Understood
from nightreel.understanding.two_pass_tables import draft, finish

ITEMS = Path("data/validate/items.parquet")
OUT = Path("data/understand")
METRICS = Path("metrics/understand.json")
PINS = Path("data/snapshot/media.json")


def main() -> None:
    """Write data/understand and metrics/understand.json."""
    settings, began = resolve_encoder(load(), ITEMS), time.monotonic()
    with staged_output(OUT) as folder:
        cards: dict[str, Any] = {}
        with ExitStack() as stack, draft(folder) as tables:
            looks = UnderstandPipeline(settings, ITEMS, PINS, folder / "vectors.spool", stack, MediaObjects)
            for rows in looks.blocks():
                found = Understood([row["item_id"] for row in rows], cards)
                looks.read(rows, found)
                for part in found.tables():
                    tables.add(part)
                del rows, found  # free the memory before the next block is read
            tagger, quality = looks.learn_tags(cards)
        finish(folder, tagger, looks.reading.spool if tagger else None)
        looks.spool.unlink(missing_ok=True)
        write_json(folder / "understand.json", cards)
    looks.advise()
    write_json(METRICS, looks.metrics() | quality)
    save_run_note("understand", looks.counts() | {"seconds": round(time.monotonic() - began, 3)})


if __name__ == "__main__":
    stage_main(main)
