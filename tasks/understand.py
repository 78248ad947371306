"""Stage understand: what can be told of each item beyond its catalogue row, and where every such field came from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.content.source import ENGLISH, UNIVERSAL
from tasks.data.schema import ITEMS_SCHEMA, read_strict
from tasks.settings import Settings, load
from tasks.stage import note, read_json, say, stage_main, staged_output, state_directory, write_json
from tasks.understanding.fields import Understood
from tasks.understanding.language import LanguageIdentifier
from tasks.understanding.prose import Prose, prose_of

ITEMS = Path("data/validate/items.parquet")
OUT = Path("data/understand")
METRICS = Path("metrics/understand.json")
PINS = Path("data/snapshot/media.json")
READ = ("item_id", "title", "description", "transcript", "genres", "tags", "language", "media_uri")
OTHERS_SHARE = 0.1
Row = dict[str, Any]


def main() -> None:
    """Write data/understand and metrics/understand.json; an item without prose gets a language at the most."""
    settings, began = load(), time.monotonic()
    rows: list[Row] = read_strict(ITEMS, ITEMS_SCHEMA).select(READ).to_pylist()
    found = Understood([row["item_id"] for row in rows])
    identifier = LanguageIdentifier()
    counts = read_files(rows, settings, found)
    heard = [row["transcript"] or own.get("transcript") for row, own in zip(rows, found.fields, strict=True)]
    rows = [row | {"transcript": transcript} for row, transcript in zip(rows, heard, strict=True)]
    languages = identify(rows, identifier, settings, found)
    advise(languages, settings)
    texts = [prose_of(row, language) for row, language in zip(rows, languages, strict=True)]
    told = [at for at, text in enumerate(texts) if text.body]
    transcribed = sum("transcript" in own for own in found.fields)
    metrics: Row = {
        "items": len(rows),
        "transcribed": transcribed,
        "with_language": sum(map(bool, languages)),
        "with_prose": len(told),
    }
    if told:
        # Imported here: torch takes seconds, and a catalogue of titles needs none of it.
        from tasks.understanding.reading import read_prose

        quality, of_prose = read_prose(told, texts, rows, settings, found)
        metrics |= quality
        counts |= of_prose
        counts |= write(told, texts, identifier, settings, found)
    else:
        say("no item has a description or a transcript: no keywords, summaries, sentiment and tags")
    with staged_output(OUT) as folder:
        found.write(folder)
        write_json(folder / "understand.json", found.cards)
    write_json(METRICS, metrics)
    note("understand", counts | {"seconds": round(time.monotonic() - began, 3)})


def read_files(rows: Sequence[Row], settings: Settings, found: Understood) -> Row:
    """What media files tell, where an item names one; returns counts for the log."""
    if not any(row["media_uri"] for row in rows):
        return {}
    # Imported here: a catalogue without media needs none of it.
    from tasks.data.media import media_root
    from tasks.understanding.media_fields import read_media

    root, state = media_root(settings.snapshot.source), state_directory() / "understand"
    return dict(read_media(rows, read_json(PINS), root, settings.understand.media, found, state))


def write(
    told: Sequence[int], texts: Sequence[Prose], identifier: LanguageIdentifier, settings: Settings, found: Understood
) -> Row:
    """What a language model writes about the items that have prose, where one is named; returns counts for the log."""
    wanted = settings.understand.writer
    if not wanted.model:
        return {}
    from tasks.understanding.language_model import open_model
    from tasks.understanding.writing import write_fields

    root = state_directory() / "understand" / "writer"
    return dict(write_fields(told, texts, open_model(wanted), identifier, wanted, found, root))


def identify(rows: Sequence[Row], identifier: LanguageIdentifier, settings: Settings, found: Understood) -> list[str]:
    """Each item's language: the catalogue's, else the one identified, else empty."""
    languages = []
    for at, row in enumerate(rows):
        language = row["language"] or ""
        if not language:
            text = prose_of(row)
            guess = identifier.identify(text.whole)
            if guess.language and guess.score >= settings.understand.language_score:
                language = guess.language
                found.put(at, "language", "language", text.digest, {"language": language}, guess.score)
                found.cards.setdefault("language", identifier.card())
        languages.append(language)
    say(f"language: {sum(map(bool, languages)):,} of {len(rows):,} items")
    return languages


def advise(languages: Sequence[str], settings: Settings) -> None:
    """Say so where the encoder is an English one and much of the catalogue is not English."""
    known = [language.partition("-")[0].casefold() for language in languages if language]
    others = sum(language != "en" for language in known)
    if settings.embed.encoder == ENGLISH and known and others > OTHERS_SHARE * len(known):
        say(f"embed.encoder: {ENGLISH} reads English, and {others:,} of {len(known):,} items are in other languages: "
            f"{UNIVERSAL} puts 16 languages into one space")  # fmt: skip


if __name__ == "__main__":
    stage_main(main)
