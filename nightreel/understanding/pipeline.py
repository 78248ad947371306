"""Runs all extractors over the catalogue, block by block; each is loaded when an item first needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightreel.content.encoders.model_source import ENGLISH, UNIVERSAL
from nightreel.data.contract.schema import ITEMS_SCHEMA, iter_strict
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress, read_json, state_directory
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.comment_sentiment import Comments
from nightreel.understanding.text.item_prose import Prose, prose_of
from nightreel.understanding.text.language import LanguageIdentifier, Languages
from nightreel.understanding.vector_spool import BLOCK

if TYPE_CHECKING:
    from nightreel.data.ingest.media_files import Objects
    from nightreel.understanding.llm.generated_fields import Writing
    from nightreel.understanding.media.media_fields import MediaFiles
    from nightreel.understanding.tags.tagger import Tagger
    from nightreel.understanding.text_pass import TextPass

READ = ("item_id", "title", "description", "transcript", "genres", "tags", "language", "media_uri")
OTHERS_SHARE = 0.1
MOST_ITEMS, MOST_TEXT = 8_192, 16_000_000
"""Items per block, and characters of their texts."""
Row = dict[str, Any]


class UnderstandPipeline:
    """The extractors and their counts. catalogue: validate's items, with their comments next to them; pins: of media
    files; spool: path of a temporary file; open_objects: for media in a bucket."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Path,
        pins: Path,
        spool: Path,
        stack: ExitStack,
        open_objects: Callable[[str], Objects],
    ) -> None:
        self.settings, self.catalogue, self.pins, self.spool, self.stack = settings, catalogue, pins, spool, stack
        self.open_objects = open_objects
        self.identifier = LanguageIdentifier()
        self.items = self.told = self.transcribed = self.languages = self.others = 0

    def blocks(self) -> Iterator[list[Row]]:
        """The catalogue in blocks as large as memory permits: new items of a block are encoded together, and each
        text length ends with a batch that is not full; after a small change most batches would be like this."""
        held: list[Row] = []
        room = MOST_TEXT
        for rows in iter_strict(self.catalogue, ITEMS_SCHEMA, READ, BLOCK):
            size = sum(len(row["description"] or "") + len(row["transcript"] or "") for row in rows)
            if held and (size > room or len(held) + len(rows) > MOST_ITEMS):
                yield held
                held, room = [], MOST_TEXT
            held, room = held + rows, room - size
        if held:
            yield held

    def read(self, rows: list[Row], found: Understood) -> None:
        """Set the fields of a block of the catalogue."""
        if any(row["media_uri"] for row in rows):
            self.files.read([self._with_language(row) for row in rows], found)
        heard = [row["transcript"] or own.get("transcript") for row, own in zip(rows, found.fields, strict=True)]
        rows = [row | {"transcript": transcript} for row, transcript in zip(rows, heard, strict=True)]
        texts = self._prose(rows, found)
        with_text = [at for at, text in enumerate(texts) if text.body]
        if with_text:
            self.reading.read(self.items, with_text, texts, rows, found)
            found.cards["text"] = self.reading.card()
            if self.settings.understand.writer.model:
                self.writing.write(with_text, texts, found)
        self.comments.give(self.items, len(rows), found)
        self.items, self.told = self.items + len(rows), self.told + len(with_text)
        self.transcribed += sum("transcript" in own for own in found.fields)

    def _with_language(self, row: Row) -> Row:
        """The row with the language of its text, if it has a file with sound but no language: a speech model would
        find words of its own language in any other."""
        if row["language"] or not row["media_uri"]:
            return row
        (guess,) = self.guessed.of([prose_of(row)])
        return row | {"language": guess.language if guess.score >= self.settings.understand.language_score else None}

    def _prose(self, rows: list[Row], found: Understood) -> list[Prose]:
        """The items' text with its language: by the catalogue, else identified, else empty."""
        texts, stated = [prose_of(row) for row in rows], [str(row["language"] or "") for row in rows]
        unknown = [at for at, language in enumerate(stated) if not language]
        for at, guess in zip(unknown, self.guessed.of([texts[at] for at in unknown]), strict=True):
            if guess.language and guess.score >= self.settings.understand.language_score:
                stated[at] = guess.language
                found.put(at, "language", "language", texts[at].digest, {"language": guess.language}, guess.score)
                found.cards.setdefault("language", self.identifier.card())
        known = [language.partition("-")[0].casefold() for language in stated if language]
        self.languages += len(known)
        self.others += len(known) - known.count("en")
        return [replace(text, language=language) for text, language in zip(texts, stated, strict=True)]

    def learn_tags(self, cards: Row) -> tuple[Tagger | None, Row]:
        """Train the tagger, if there are labels; returns it with its metrics."""
        log_progress(f"language: known for {self.languages:,} of {self.items:,} items")
        if not self.told:
            log_progress("no item has a description or a transcript, so no keywords, summaries, sentiment or tags")
            return None, {}
        tagger, quality = self.reading.learn_tags(cards)
        return tagger, {"sentiment": self.reading.sentiments.quality(), "tags": quality}

    def advise(self) -> None:
        """Log a hint if the encoder is for English and much of the catalogue is not English."""
        if self.settings.embed.encoder == ENGLISH and self.others > OTHERS_SHARE * self.languages:
            log_progress(
                f"embed.encoder: {ENGLISH} is for English, and {self.others:,} of {self.languages:,} items are in "
                f"other languages. {UNIVERSAL} covers 16 languages"
            )

    def metrics(self) -> Row:
        """The metrics for `dvc metrics`."""
        return {
            "items": self.items,
            "transcribed": self.transcribed,
            "with_language": self.languages,
            "with_prose": self.told,
            **self.comments.quality(),
        }

    def counts(self) -> Row:
        """Lines for the log, of the extractors that were used."""
        opened = [part for name in ("files", "reading", "writing") if (part := vars(self).get(name)) is not None]
        return {name: count for part in opened for name, count in part.counts().items()}

    @cached_property
    def guessed(self) -> Languages:
        languages = Languages(self.identifier, state_directory() / "understand" / "language")
        self.stack.enter_context(languages.cache)
        return languages

    @cached_property
    def comments(self) -> Comments:
        return Comments(self.catalogue.with_name("comments.parquet"), self.settings.understand.sentiment)

    # Imported on first use: torch takes seconds, and a catalogue of titles doesn't need it.

    @cached_property
    def files(self) -> MediaFiles:
        from nightreel.data.ingest.media_files import media_root
        from nightreel.understanding.media.media_fields import MediaFiles

        named = sum(row["media_uri"] is not None for rows in self._column("media_uri") for row in rows)
        wanted, state = self.settings.snapshot, state_directory() / "understand"
        root = media_root(wanted.source, wanted.media, self.open_objects)
        looks = MediaFiles(read_json(self.pins), root, self.settings.understand.media, state, named)
        return self.stack.enter_context(looks)

    @cached_property
    def reading(self) -> TextPass:
        from nightreel.understanding.text_pass import TextPass

        n = sum(len(rows) for rows in self._column("item_id"))
        return self.stack.enter_context(TextPass(self.settings, n, self.spool))

    @cached_property
    def writing(self) -> Writing:
        from nightreel.understanding.llm.client import open_model
        from nightreel.understanding.llm.generated_fields import Writing

        wanted, root = self.settings.understand.writer, state_directory() / "understand" / "writer"
        pinned = self.pins.with_name("waiting.json")
        turn = int(read_json(pinned)["turn"]) if pinned.exists() else 0
        return self.stack.enter_context(Writing(open_model(wanted), self.identifier, wanted, root, turn))

    def _column(self, name: str) -> Iterator[list[Row]]:
        return iter_strict(self.catalogue, ITEMS_SCHEMA, (name,), BLOCK)
