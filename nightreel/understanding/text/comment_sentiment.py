"""Sentiment of the comments on each item: the mean over its English comments; each user counts once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nightreel.data.contract.schema import COMMENTS_SCHEMA, iter_strict
from nightreel.settings.sentiment import Sentiment
from nightreel.stage import log_progress
from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.language import LanguageIdentifier
from nightreel.understanding.text.sentiment import LANGUAGE
from nightreel.understanding.text.sentiment_model import LEXICON, Lexicon, Tone, learned

BLOCK = 1024
"""Comments that are read at once."""
LEAST = 3
"""Minimum number of English comments: fewer reflect individual moods."""
CODE = ("comment_sentiment", "language", "sentences", "sentiment_model")
FEW = f"fewer than {LEAST} comments in English"


class Comments:
    """Computes the sentiment of comments on block after block of the catalogue.

    Its cache below root, which is closed with the stack, has a mean by the hash of all comments on an item, never that
    of a single one. path: validate's comments, which don't include those of erased users.
    """

    def __init__(
        self, path: Path, identifier: LanguageIdentifier, settings: Sentiment, root: Path, stack: ExitStack
    ) -> None:
        self.identifier, self.reads, self.root, self.stack = identifier, settings.reads, root, stack
        self.lexicon = Lexicon()
        self.rows = _rows(path) if self.reads else iter(())
        self.next = next(self.rows, None)
        self.items = self.given = self.read = 0

    def give(self, start: int, count: int, found: Understood) -> None:
        """Set `comment_tone` and `comments_read` of a block; start, count: its rows in the catalogue."""
        for at, texts in self._until(start, count).items():
            key = fingerprint(texts)
            score, read = self._told(key, texts)
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

    def _until(self, start: int, count: int) -> dict[int, list[str]]:
        """Row of the block → its comments."""
        own: dict[int, list[str]] = {}
        while self.next and self.next[0] < start + count:
            own.setdefault(self.next[0] - start, []).append(self.next[1])
            self.next = next(self.rows, None)
        return own

    def _told(self, key: str, texts: Sequence[str]) -> tuple[float, int]:
        """(mean sentiment from -1 to 1, number of comments used)."""
        if known := self.cache.find([key]):
            score, read = known[key]
            return score, read
        english = [text for text in texts if self.identifier.identify(text).language == LANGUAGE]
        enough = len(english) >= LEAST
        mean = self.tone.mean([self.lexicon.scores(text, self.reads) for text in english]) if enough else 0.0
        self.cache.put(key, [mean, len(english)])
        return mean, len(english)

    @cached_property
    def tone(self) -> Tone:
        return learned("")

    @cached_property
    def cache(self) -> FieldCache:
        code = code_of(*(Path(__file__).with_name(f"{name}.py") for name in CODE))
        named = fingerprint(version(LEXICON), self.reads, self.tone.told(), code)
        return self.stack.enter_context(FieldCache(self.root, named))


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    for block in iter_strict(path, COMMENTS_SCHEMA, COMMENTS_SCHEMA.names, BLOCK):
        yield from ((row["item"], row["text"]) for row in block)
