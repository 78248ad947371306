"""The sentiment table: passages of the rated texts, and its measures in hand-computed fractions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.understanding.sentiment import Texts, fit, left_out, measure, passages


def texts(rating: list[float], kind: list[int]) -> Texts:
    """The lexicon's compound score is the rating's sign; the vectors say nothing."""
    scores = np.zeros((len(rating), 4))
    scores[:, 3] = np.sign(rating)
    scores[:, :3] = np.random.default_rng(0).random((len(rating), 3))
    return Texts(np.array(kind), np.array(rating), scores, np.zeros((len(rating), 2), np.float32))


def test_passages_stay_within_a_source() -> None:
    rows = [*(f"1_{n}\t{n}\tSentence {n}." for n in range(7)), "2_1\t-1.5\tAnother review.", "3\t2\tA\ttab.\n"]
    assert passages("\n".join(rows), 5) == [
        ("Sentence 0. Sentence 1. Sentence 2. Sentence 3. Sentence 4.", 2.0),
        ("Sentence 5. Sentence 6.", 5.5),
        ("Another review.", -1.5),
        ("A\ttab.", 2.0),
    ]


def test_measures() -> None:
    own = texts([2.0, -2.0, 0.2, 1.0], [0, 0, 1, 1])
    probabilities = np.array([[0.1, 0.1, 0.8], [0.1, 0.0, 0.9], [0.2, 0.6, 0.2], [0.3, 0.2, 0.5]])
    row = measure(own, probabilities, probabilities[:, 2] - probabilities[:, 0], 0.7)
    assert row["accuracy"] == 3 / 4 and row["labelled"] == 2 / 4 and row["right_where_labelled"] == 1 / 2
    assert row["rank_correlation"] == pytest.approx((-1 + 1) / 2)


def test_each_kind_is_told_by_what_the_others_taught() -> None:
    rng = np.random.default_rng(1)
    rating, kind = rng.choice([-2.0, 0.0, 2.0], 240), np.arange(240) % 4
    own = texts(rating.tolist(), kind.tolist())
    assert (left_out(own, own, "").argmax(1) == own.label).all()
    one = fit(own, own.kind != 3, "")
    np.testing.assert_array_equal(
        one.probabilities(own.scores, own.vectors)[kind == 3], left_out(own, own, "")[kind == 3]
    )
