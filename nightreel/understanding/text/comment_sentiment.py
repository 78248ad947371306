"""Sentiment of the comments on each item: the mean over its English comments; each user counts once.

The comments themselves were scored when the source was read (see `comment_tones`) and are not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nightreel.data.contract.schema import COMMENTS_SCHEMA, iter_strict
from nightreel.settings.sentiment import Sentiment
from nightreel.stage import log_progress
from nightreel.understanding.field_cache import fingerprint
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.sentiment_model import LEXICON, Tone, learned

BLOCK = 1024
"""Comments that are read at once."""
LEAST = 3
"""Minimum number of English comments: fewer reflect individual moods."""
FEW = f"fewer than {LEAST} comments in English"


class Comments:
    """Computes the mean sentiment of comments on block after block of the catalogue.

    path: validate's comments, which don't include those of erased users.
    """

    def __init__(self, path: Path, settings: Sentiment) -> None:
        self.rows = _rows(path) if settings.reads else iter(())
        self.next = next(self.rows, None)
        self.items = self.given = self.read = 0

    def give(self, start: int, count: int, found: Understood) -> None:
        """Set `comment_tone` and `comments_read` of a block; start, count: its rows in the catalogue."""
        for at, tones in self._until(start, count).items():
            known = [tone for tone in tones if tone is not None]
            key, read = fingerprint(known), len(known)
            score = round(sum(known) / read, 4) if known else 0.0
            self.items, self.given, self.read = self.items + 1, self.given + (read >= LEAST), self.read + read
            if read >= LEAST:
                values = {"comment_tone": score, "comments_read": read}
                found.put(at, "comment_tone", "comments", key, values, score)
                found.cards.setdefault("comments", self.card())
            else:
                found.skip(at, "comment_tone", "comments", key, FEW)

    def quality(self) -> dict[str, Any]:
        """Counts, and measured metrics on single comments."""
        if not self.items:
            return {}
        log_progress(
            f"comments: {self.given:,} of {self.items:,} items with comments have at least {LEAST} comments in English"
        )
        facts = {"items": self.items, "given": self.given, "read": self.read, "measured": self.tone.facts}
        return {"comments": facts}

    def card(self) -> dict[str, Any]:
        """Description of the method."""
        return {
            "model": LEXICON,
            "revision": version(LEXICON),
            "licence": "MIT",
            "least": LEAST,
            "method": "mean over comments of a multinomial logistic regression on its scores",
            "measured": self.tone.facts,
        }

    def _until(self, start: int, count: int) -> dict[int, list[float | None]]:
        """Row of the block → the sentiments of its comments."""
        own: dict[int, list[float | None]] = {}
        while self.next and self.next[0] < start + count:
            own.setdefault(self.next[0] - start, []).append(self.next[1])
            self.next = next(self.rows, None)
        return own

    @cached_property
    def tone(self) -> Tone:
        return learned("")


def _rows(path: Path) -> Iterator[tuple[int, float | None]]:
    for block in iter_strict(path, COMMENTS_SCHEMA, COMMENTS_SCHEMA.names, BLOCK):
        yield from ((row["item"], row["tone"]) for row in block)
