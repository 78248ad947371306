"""Sentiment of prose: clear and unclear texts, other languages, and where the probabilities come from."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from nightreel.content.encoders.transformer import Encoder
from nightreel.settings.sentiment import Sentiment
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.sentiment import Sentiments
from nightreel.understanding.text.sentiment_model import SCORES, Lexicon, Tone, learned

TEXTS = [
    Prose("", "A wonderful, joyful film. I loved every minute of it!", "en-GB"),
    Prose("", "A terrible, boring mess. I hated it.", "en"),
    Prose("", "The train leaves at nine. It has six carriages.", "en"),
    Prose("", "Ein wunderbarer Film.", "de-AT"),
    Prose("", "Zzz.", ""),
]
WANTED = Sentiment(reads=8, probability=0.7)


def given(encoder: Encoder, wanted: Sentiment, root: Path) -> tuple[Understood, dict]:
    found = Understood([f"i{at}" for at in range(6)])
    vectors = encoder.encode([text.whole for text in TEXTS])
    with ExitStack() as stack:
        sentiments = Sentiments(encoder.card(), wanted, root, stack)
        sentiments.give([0, 1], TEXTS[:2], vectors[:2], found)
        sentiments.give([2, 3, 5], TEXTS[2:], vectors[2:], found)
        return found, sentiments.quality()


def test_a_clear_tone_has_a_label_and_other_languages_a_reason(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, facts = given(encoder, WANTED, tmp_path)
    assert [row.get("sentiment") for row in found.fields] == ["positive", "negative", None, None, None, None]
    scores = [row.get("sentiment_score") for row in found.fields]
    assert scores[0] > 0.7 and scores[1] < -0.7 and abs(scores[2]) < 0.7 and scores[3:] == [None, None, None]
    score, label = found.provenance[0]
    assert (score["field"], score["score"], score["input"]) == ("sentiment_score", scores[0], TEXTS[0].digest)
    assert label["field"] == "sentiment" and label["score"] >= 0.7 and label["producer"] == "sentiment"
    assert [note["field"] for note in found.provenance[2]] == ["sentiment_score"]
    assert [found.provenance[row][0]["skipped"] for row in (3, 5)] == [
        "the item is not in English",
        "the item's language is unknown",
    ]
    assert {name: facts[name] for name in ("read", "positive", "neutral", "negative")} == {
        "read": 3, "positive": 1, "neutral": 0, "negative": 1
    }  # fmt: skip
    assert found.cards["sentiment"]["encoder_weights"] == encoder.card()["weights"]

    monkeypatch.setattr(Lexicon, "scores", lambda *_: pytest.fail("it is in the cache"))
    assert given(encoder, WANTED, tmp_path)[0].fields == found.fields


def test_nothing_is_told_where_it_is_off(encoder: Encoder, tmp_path: Path) -> None:
    found, facts = given(encoder, WANTED.model_copy(update={"reads": 0}), tmp_path)
    assert facts == {"given": False} and not found.cards and not any(found.provenance)


def test_probabilities_are_the_softmax_of_scores_and_vectors() -> None:
    weights = np.zeros((len(SCORES) + 2, 3))
    weights[SCORES.index("compound"), 2] = np.log(2)
    weights[len(SCORES), 0] = np.log(6)
    scores, vectors = [[0, 0, 0, 1], [0, 0, 0, 0]], [[1, 0], [0, 1]]
    alone = Tone("", weights[: len(SCORES)], np.zeros(3), {})
    np.testing.assert_allclose(alone.probabilities(scores, vectors), [[1 / 4, 1 / 4, 1 / 2], [1 / 3, 1 / 3, 1 / 3]])
    both = Tone("x", weights, np.zeros(3), {})
    np.testing.assert_allclose(both.probabilities(scores, vectors), [[6 / 9, 1 / 9, 2 / 9], [1 / 3, 1 / 3, 1 / 3]])
    again = Tone.of(both.told())
    np.testing.assert_allclose(again.probabilities(scores, vectors), both.probabilities(scores, vectors), atol=1e-4)


def test_another_encoder_gets_the_lexicon_alone(encoder: Encoder) -> None:
    own, other = learned(encoder.card()["weights"]), learned("of another encoder")
    assert own.weights.shape == (len(SCORES) + encoder.dim, 3) and other.encoder == ""
    good, bad = (Lexicon().scores(text.body, 8) for text in TEXTS[:2])
    assert other.probabilities([good, bad], np.zeros((2, 9))).argmax(1).tolist() == [2, 0]
    assert own.facts["rank_correlation"] > other.facts["rank_correlation"]


def test_sentences_beyond_the_first_are_not_read() -> None:
    lexicon = Lexicon()
    first = lexicon.scores("A wonderful film.", 1)
    assert (
        lexicon.scores("A wonderful film. A terrible end.", 1)
        == first
        != lexicon.scores("A wonderful film. A terrible end.", 2)
    )
    assert lexicon.scores("", 3) == [0.0] * 4
