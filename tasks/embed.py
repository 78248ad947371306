"""Stage embed: encode every item's text into one content vector."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np

from nightreel.content.cache.shards import npy_header
from nightreel.content.cache.vector_cache import VectorCache
from nightreel.content.encoders.registry import open_encoder, resolve_encoder
from nightreel.content.item_text import count_texts, text_blocks
from nightreel.content.progress import Progress
from nightreel.settings.params_file import load
from nightreel.stage import log_progress, save_run_note, stage_main, staged_output, state_directory, write_json

ITEMS = Path("data/validate/items.parquet")
UNDERSTOOD = Path("data/understand/items.parquet")
OUT = Path("data/embed")


def main() -> None:
    """Read data/validate/items.parquet and understand's transcripts; write data/embed/{vectors.npy, embed.json}."""
    settings = resolve_encoder(load(), ITEMS).embed
    n, began = count_texts(ITEMS), time.monotonic()
    encoder = open_encoder(settings)
    card = encoder.card()
    log_progress(f"encoder {card['encoder']} ({card['dim']}-d) on {encoder.place} in {card['dtype']}")
    if encoder.max_tokens < settings.max_tokens:
        log_progress(
            f"embed.max_tokens: {settings.max_tokens} is above the encoder's limit, so {encoder.max_tokens} are used"
        )
    with staged_output(OUT) as folder, VectorCache(encoder, state_directory() / "cache") as cache:
        progress = Progress("items encoded", n)
        with (folder / "vectors.npy").open("wb") as file:
            file.write(npy_header(np.dtype(np.float32), (n, encoder.dim)))
            for texts in text_blocks(ITEMS, UNDERSTOOD):
                report = partial(_report, progress, cache.tally.items, len(texts))
                file.write(cache.vectors(texts, report).tobytes())
        write_json(folder / "embed.json", card)
    log_progress(cache.tally.line())
    save_run_note(
        "embed", {**vars(cache.tally), "seconds": round(time.monotonic() - began, 3), "device": encoder.place}
    )


def _report(progress: Progress, before: int, texts: int, done: int, share: float) -> None:
    """Convert the progress in one block of texts to that of the whole. done: number of texts encoded in the block."""
    seen = before + round(share * texts)
    progress(seen, seen / progress.total)


if __name__ == "__main__":
    stage_main(main)
