"""embed: every item's text through the encoder, into one vector an item."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from tasks.content.item_cache import encode_cached
from tasks.content.text import read_texts
from tasks.content.text_encoder import open_encoder
from tasks.settings import load
from tasks.stage import note, say, stage_main, staged_output, state_directory, write_json

ITEMS = Path("data/validate/items.parquet")
UNDERSTOOD = Path("data/understand/items.parquet")
OUT = Path("data/embed")


def main() -> None:
    """data/validate/items.parquet and understand's transcripts → data/embed/{vectors.npy, embed.json}.

    What was encoded goes to the log.
    """
    settings = load().embed
    texts = read_texts(ITEMS, UNDERSTOOD)
    began = time.monotonic()
    encoder = open_encoder(settings)
    card = encoder.card()
    say(f"encoder {card['encoder']} ({card['dim']}-d) on {encoder.place} in {card['dtype']}")
    if encoder.max_tokens < settings.max_tokens:
        say(f"embed.max_tokens: {settings.max_tokens} is more than this encoder reads; {encoder.max_tokens} are read")
    vectors, tally = encode_cached(encoder, texts, state_directory() / "cache")
    say(tally.line())
    with staged_output(OUT) as folder:
        np.save(folder / "vectors.npy", vectors, allow_pickle=False)
        write_json(folder / "embed.json", card)
    note("embed", {**vars(tally), "seconds": round(time.monotonic() - began, 3), "device": encoder.place})


if __name__ == "__main__":
    stage_main(main)
