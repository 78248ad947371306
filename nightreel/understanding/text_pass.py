"""Fields of the items that have text: keywords, summary and sentiment, block by block, then tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nightreel.content.cache.vector_cache import VectorCache
from nightreel.content.encoders.registry import open_encoder
from nightreel.content.progress import Progress
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress, state_directory
from nightreel.understanding.field_cache import FieldCache
from nightreel.understanding.schema import Understood
from nightreel.understanding.tags.tagger import Tagger, fit_tagger, labels_of
from nightreel.understanding.tags.training_set import prepare
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.keywords_and_summary import describe, producer
from nightreel.understanding.text.sentiment import Sentiments
from nightreel.understanding.vector_spool import Spool

ENCODING_AND_DESCRIBING = ((0.0, 0.25), (0.25, 0.75))
"""Shares of a block's work before a part of it, and of the part itself."""
Row = dict[str, Any]


class TextPass:
    """A context manager, which closes its files. n: items of the catalogue; spool: a file for vectors."""

    def __init__(self, settings: Settings, n: int, spool: Path) -> None:
        self.settings, self.fresh, self.n, self.stack = settings, 0, n, ExitStack()
        self.encoder, root = open_encoder(settings.embed), state_directory()
        self.vectors = self.stack.enter_context(VectorCache(self.encoder, root / "cache"))
        self.names = self.stack.enter_context(VectorCache(self.encoder, root / "understand" / "labels"))
        named = producer(self.encoder, settings.understand)
        self.cache = self.stack.enter_context(FieldCache(root / "understand" / "text", named))
        wanted, kept = settings.understand.sentiment, root / "understand" / "sentiment"
        self.sentiments = Sentiments(self.encoder.card(), wanted, kept, self.stack)
        self.spool = Spool(spool, self.encoder.dim)
        self.labels: list[tuple[str, ...]] = []
        self.same: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.told = Progress("items described", n)

    def read(
        self, start: int, with_text: Sequence[int], texts: Sequence[Prose], rows: Sequence[Row], found: Understood
    ) -> None:
        """Set keywords, summary and sentiment of a block's items at `with_text`; start: the block's first row."""
        prose = [texts[at] for at in with_text]
        encoding, describing = (partial(self._tell, start, len(rows), *part) for part in ENCODING_AND_DESCRIBING)
        vectors = self.vectors.vectors([text.whole for text in prose], encoding)
        fields, fresh = describe(self.encoder, prose, vectors, self.settings.understand, self.cache, describing)
        self.fresh += fresh
        for at, text, own in zip(with_text, prose, fields, strict=True):
            if own.keywords:
                words = {"keywords": list(own.keywords), "keyword_scores": list(own.scores)}
                found.put(at, "keywords", "text", text.digest, words, own.scores[0])
            if own.summary:
                found.put(at, "summary", "text", text.digest, {"summary": own.summary})
            labels = tuple(labels_of(rows[at], self.settings.understand.tags.taxonomy))
            self.labels.append(self.same.setdefault(labels, labels))
        self.sentiments.give(with_text, prose, vectors, found)
        self.spool.add([start + at for at in with_text], [text.digest for text in prose], vectors)

    def _tell(self, start: int, rows: int, before: float, part: float, done: int, share: float) -> None:
        """Overall progress from the progress of a part of a block's work."""
        seen = start + rows * (before + part * share)
        self.told(int(seen), seen / self.n)

    def card(self) -> Row:
        """Description of the method."""
        return self.encoder.card() | {"method": "maximal marginal relevance; sentence centrality"}

    def counts(self) -> Row:
        """Lines for the log."""
        return {**vars(self.vectors.tally), "described": self.fresh}

    def learn_tags(self, cards: Row) -> tuple[Tagger | None, Row]:
        """Train the tagger on the catalogue's labels, if there are enough; returns it with its metrics."""
        wanted, rng = self.settings.understand.tags, np.random.default_rng(self.settings.understand.seed)
        vectors = self.spool.path.with_suffix(".lesson")
        task = prepare(self.spool.take, self.labels, wanted, rng, vectors)
        if task is None:
            log_progress(f"tags: fewer than two labels have {wanted.least_items} items with text; no tagger is trained")
            return None, {"given": False}
        tagger, quality = fit_tagger(task, self.names.vectors(task.names), wanted)
        vectors.unlink()
        _tell(quality, len(task.names), len(task.flags))
        if tagger is None:
            log_progress("tags: the tagger is not better than these baselines; no tags are assigned")
            return None, quality | {"given": False}
        cards["tags"] = self.encoder.card() | {
            "method": "one-vs-rest logistic regression, Platt scaling on out-of-fold scores",
            "head": tagger.digest(),
            "labels": list(tagger.names),
            "cross_validated": quality["learned"],
        }
        return tagger, quality | {"given": True}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
        if error is None:
            count = self.spool.count
            log_progress(self.vectors.tally.line())
            kept = count - self.fresh
            log_progress(
                f"keywords and summaries of {count:,} items with a text: {self.fresh:,} new, {kept:,} from cache"
            )


def _tell(quality: Mapping[str, Any], labels: int, items: int) -> None:
    learned, commonest, names = (quality[way]["precision@1"] for way in ("learned", "commonest", "label_names"))
    log_progress(
        f"tags: a tagger for {labels} tags was trained on {items:,} items with a text; cross-validated precision@1 "
        f"{learned:.3f} (baselines: most frequent tag {commonest:.3f}, nearest tag name {names:.3f})"
    )
