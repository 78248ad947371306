"""Sentiment of the items that have English prose: a label where the tone is clear, and a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tasks.content.text_encoder import TextEncoder, Vectors
from tasks.settings.sentiment import Sentiment
from tasks.stage import say
from tasks.understanding.field_cache import FieldCache, code_of, fingerprint
from tasks.understanding.fields import Understood
from tasks.understanding.one_vs_rest import Array
from tasks.understanding.prose import Prose
from tasks.understanding.tone import LEXICON, SCORES, TONES, Lexicon, Tone, learned

LANGUAGE = "en"
CODE = ("sentences", "tone")


def give_sentiment(
    told: Sequence[int], texts: Sequence[Prose], vectors: Vectors, encoder: TextEncoder, settings: Sentiment,
    found: Understood, root: Path,
) -> dict[str, Any]:  # fmt: skip
    """Fill `sentiment` and `sentiment_score` of the items at `told` (texts, vectors [n, dim]: of the same); returns
    counts and what was measured. VADER's scores are kept below root."""
    if not settings.reads:
        return {"given": False}
    card = encoder.card()
    tone = learned(card["weights"])
    found.cards["sentiment"] = _card(tone, card)
    spoken = [at for at, text in enumerate(texts) if text.language.partition("-")[0].casefold() == LANGUAGE]
    for at in sorted(set(range(len(texts))) - set(spoken)):
        reason = "the item is not in English" if texts[at].language else "the item's language is not known"
        found.skip(told[at], "sentiment", "sentiment", texts[at].digest, reason)
    scores = lexicon_scores([texts[at] for at in spoken], settings.reads, root)
    labels: Counter[str] = Counter()
    for at, row in zip(spoken, tone.probabilities(scores, vectors[spoken]), strict=True):
        labels[_put(found, told[at], texts[at], row.tolist(), settings.probability)] += 1
    clear = {name: labels[name] for name in TONES}
    say(f"sentiment: {sum(clear.values()):,} of {len(spoken):,} items in English have a clear tone")
    return {"given": True, "read": len(spoken), **clear, "measured": tone.facts}


def lexicon_scores(texts: Sequence[Prose], reads: int, root: Path) -> Array:
    """[n, 4] VADER's mean scores of each text's first sentences; only what is not in the cache below root is read."""
    code = code_of(*(Path(__file__).with_name(f"{name}.py") for name in CODE))
    lexicon = Lexicon()
    with FieldCache(root, fingerprint(version(LEXICON), reads, code)) as cache:
        for text in texts:
            if text.digest not in cache:
                cache.put(text.digest, lexicon.scores(text.body, reads))
        return np.array([cache[text.digest] for text in texts], np.float64).reshape(len(texts), len(SCORES))


def _put(found: Understood, row: int, text: Prose, probabilities: list[float], least: float) -> str:
    """Fields of an item; returns its label, empty where the tone is not clear."""
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
        "model": LEXICON, "revision": version(LEXICON), "licence": "MIT", "method": method,
        "encoder_weights": tone.encoder, "measured": tone.facts,
    }  # fmt: skip
