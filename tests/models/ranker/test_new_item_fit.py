"""Which items count as new ones that fit: by words alone, or where the models that need no events agree."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.models.ranker.new_items import BY_WORDS, NEAREST, fitting
from tests.models.ranker.test_new_items import NEW_OF_TASTE, over

MEMBERS = ("content_knn", "ease", "tfidf_knn")
NEW, OLD = NEW_OF_TASTE[0], 0


@pytest.mark.parametrize(
    ("item", "by_content", "by_words", "fits"),
    [
        (NEW, 0, 0, 0.0),
        (NEW, 3, 10, 6.5),
        (NEW, 0, 2 * NEAREST, np.inf),
        (NEW, 100, BY_WORDS - 1, BY_WORDS - 1),
        (NEW, 100, BY_WORDS, np.inf),
        (NEW, 0, 2, 1.0),
        (OLD, 0, 0, np.inf),
    ],
)
def test_words_alone_or_vectors_and_words_together(item: int, by_content: int, by_words: int, fits: float) -> None:
    rows, items = np.zeros(1, np.int64), np.array([item])
    ranks = np.array([[by_content, 50, by_words]], np.float32)
    engine = over()
    assert fitting(rows, items, ranks, np.array([engine.now]), engine.statistics, MEMBERS).tolist() == [fits]


def test_without_a_model_that_needs_no_events_nothing_fits() -> None:
    engine, rows = over(), np.zeros(1, np.int64)
    args = (rows, np.array([NEW]), np.zeros((1, 1), np.float32), np.array([engine.now]), engine.statistics, ("ease",))
    assert fitting(*args).tolist() == [np.inf]
