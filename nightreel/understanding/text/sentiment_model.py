"""Sentiment model: VADER's scores of a text's sentences and, if trained for them, an encoder's vectors.

Source: Hutto and Gilbert, "VADER" (2014), whose lexicon and rules give the scores; a multinomial logistic regression
turns them into calibrated probabilities. `python -m benchmarks.understanding.sentiment --write` trains it on the
ratings that VADER's authors publish, and measures it. Memory: a few thousand numbers. Throughput: about 2,000 sentences
per second and core.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.content.packaged_models import VADER
from nightreel.understanding.tags.one_vs_rest import Array
from nightreel.understanding.text.sentences import sentences_of

TONES = ("negative", "neutral", "positive")
SCORES = ("neg", "neu", "pos", "compound")
"""VADER's scores: shares of a sentence's words, and the compound score from -1 to 1."""
LEARNED = Path(__file__).with_name("sentiment_model.json")
LEXICON = "vaderSentiment"


class Lexicon:
    """Loads VADER (0.1 s) on first use."""

    def scores(self, text: str, reads: int) -> list[float]:
        """Means of SCORES over the first sentences; a long text as a whole would score at the extremes."""
        each = [self._analyser.polarity_scores(sentence) for sentence in sentences_of(text)[:reads]]
        return [round(float(np.mean([one[name] for one in each])), 4) if each else 0.0 for name in SCORES]

    @cached_property
    def _analyser(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        VADER.locate("understand.sentiment: VADER")
        return SentimentIntensityAnalyzer()


@dataclass(frozen=True)
class Tone:
    """encoder: digest of the weights whose vectors it uses besides the scores, empty for none; weights: [4 (+ dim),
    3], in the order of SCORES, dimensions and TONES; bias: [3]; facts: measured metrics."""

    encoder: str
    weights: Array
    bias: Array
    facts: dict[str, Any]

    def probabilities(self, scores: npt.ArrayLike, vectors: npt.ArrayLike) -> Array:
        """[n, 3] probabilities from texts' scores [n, 4] and vectors [n, dim], which are not used without an
        encoder."""
        odds = np.asarray(scores, np.float64) @ self.weights[: len(SCORES)] + self.bias
        if self.encoder:
            odds = odds + np.asarray(vectors, np.float64) @ self.weights[len(SCORES) :]
        raised = np.exp(odds - odds.max(1, keepdims=True))
        return np.asarray(raised / raised.sum(1, keepdims=True))

    def mean(self, scores: npt.ArrayLike) -> float:
        """Mean, over texts' scores [n, 4], of the probability of positive minus that of negative sentiment; without
        an encoder."""
        likely = self.probabilities(scores, []).mean(0)
        return round(float(likely[TONES.index("positive")] - likely[TONES.index("negative")]), 4)

    def told(self) -> dict[str, Any]:
        """The model in JSON types."""
        arrays = {name: np.round(getattr(self, name), 4).tolist() for name in ("bias", "weights")}
        return {"encoder": self.encoder, "facts": self.facts, **arrays}

    @classmethod
    def of(cls, content: dict[str, Any]) -> Tone:
        """The inverse of `content`."""
        return cls(content["encoder"], np.array(content["weights"]), np.array(content["bias"]), content["facts"])


def learned(encoder: str, path: Path = LEARNED) -> Tone:
    """The model for an encoder with these weights, else the one for VADER's scores only."""
    known = {model["encoder"]: model for model in json.loads(path.read_text("utf-8"))}
    return Tone.of(known.get(encoder, known[""]))
