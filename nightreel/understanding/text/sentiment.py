"""Sentiment of the items with English text: a score, and a label where it is clear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.content.encoders.base import Vectors
from nightreel.settings.sentiment import Sentiment
from nightreel.stage import log_progress
from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.schema import Understood
from nightreel.understanding.tags.one_vs_rest import Array
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.sentiment_model import LEXICON, SCORES, TONES, Lexicon, Tone, learned

LANGUAGE = "en"
CODE = ("sentences", "sentiment_model")


class Sentiments:
    """Computes the sentiment of block after block; its cache below root is closed with the stack."""

    def __init__(self, encoder: dict[str, Any], settings: Sentiment, root: Path, stack: ExitStack) -> None:
        self.settings, self.tone = settings, learned(encoder["weights"])
        self.card = _card(self.tone, encoder)
        self.lexicon, self.labels, self.spoken = Lexicon(), Counter[str](), 0
        code = code_of(*(Path(__file__).with_name(f"{name}.py") for name in CODE))
        named = fingerprint(version(LEXICON), settings.reads, code)
        self.cache = stack.enter_context(FieldCache(root, named)) if settings.reads else None

    def give(self, rows: Sequence[int], texts: Sequence[Prose], vectors: Vectors, found: Understood) -> None:
        """Set `sentiment` and `sentiment_score` of the items at `rows` (texts, vectors [n, dim]: of the same)."""
        if self.cache is None:
            return
        found.cards["sentiment"] = self.card
        spoken = [at for at, text in enumerate(texts) if text.language.partition("-")[0].casefold() == LANGUAGE]
        for at in sorted(set(range(len(texts))) - set(spoken)):
            reason = "the item is not in English" if texts[at].language else "the item's language is unknown"
            found.skip(rows[at], "sentiment", "sentiment", texts[at].digest, reason)
        scores = self._scores([texts[at] for at in spoken], self.cache)
        for at, row in zip(spoken, self.tone.probabilities(scores, vectors[spoken]), strict=True):
            self.labels[_put(found, rows[at], texts[at], row.tolist(), self.settings.probability)] += 1
        self.spoken += len(spoken)

    def _scores(self, texts: Sequence[Prose], cache: FieldCache) -> Array:
        """[n, 4] VADER's mean scores of each text's first sentences; texts in the cache are not read again."""
        known = cache.find([text.digest for text in texts])
        for text in texts:
            if text.digest not in known:
                known[text.digest] = self.lexicon.scores(text.body, self.settings.reads)
                cache.put(text.digest, known[text.digest])
        return np.array([known[text.digest] for text in texts], np.float64).reshape(len(texts), len(SCORES))

    def quality(self) -> dict[str, Any]:
        """Counts, and measured metrics."""
        if self.cache is None:
            return {"given": False}
        clear = {name: self.labels[name] for name in TONES}
        log_progress(f"sentiment: {sum(clear.values()):,} of {self.spoken:,} items in English have a clear sentiment")
        return {"given": True, "read": self.spoken, **clear, "measured": self.tone.facts}


def _put(found: Understood, row: int, text: Prose, probabilities: list[float], least: float) -> str:
    """Set the fields of an item; returns its label, empty if the sentiment is not clear."""
    best = max(probabilities)
    label = TONES[probabilities.index(best)] if best >= least else ""
    score = round(probabilities[TONES.index("positive")] - probabilities[TONES.index("negative")], 4)
    found.put(row, "sentiment_score", "sentiment", text.digest, {"sentiment_score": score}, score)
    if label:
        found.put(row, "sentiment", "sentiment", text.digest, {"sentiment": label}, round(best, 4))
    return label


def _card(tone: Tone, encoder: dict[str, Any]) -> dict[str, Any]:
    method = "multinomial logistic regression on its scores" + (f" and {encoder['encoder']}" if tone.encoder else "")
    return {
        "model": LEXICON,
        "revision": version(LEXICON),
        "licence": "MIT",
        "method": method,
        "encoder_weights": tone.encoder,
        "measured": tone.facts,
    }
