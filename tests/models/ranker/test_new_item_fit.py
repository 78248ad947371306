"""Which items count as new ones that fit: by words alone, or where the models that need no events agree."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.ranker.new_items import NEAREST, fitting
from tests.models.ranker.test_new_items import NEW_OF_TASTE, over

MEMBERS = ("content_knn", "ease", "tfidf_knn")
NEW, OLD = NEW_OF_TASTE[0], 0
NOTHING = Histories.from_rows([([], [])])


@pytest.mark.parametrize(
    ("item", "by_content", "by_words", "fits"),
    [
        (NEW, 0, 0, 0.0),
        (NEW, 3, 10, 6.5),
        (NEW, 0, 2 * NEAREST, np.inf),
        (NEW, 100, NEAREST - 1, NEAREST - 1),
        (NEW, 100, NEAREST, np.inf),
        (NEW, 0, 2, 1.0),
        (OLD, 0, 0, np.inf),
    ],
)
def test_words_alone_or_vectors_and_words_together(item: int, by_content: int, by_words: int, fits: float) -> None:
    rows, items = np.zeros(1, np.int64), np.array([item])
    ranks = np.array([[by_content, 50, by_words]], np.float32)
    engine = over()
    found = fitting(rows, items, ranks, np.array([engine.now]), engine.statistics, MEMBERS, NOTHING)
    assert found.tolist() == [fits]


def test_without_a_model_that_needs_no_events_nothing_fits() -> None:
    engine, rows = over(), np.zeros(1, np.int64)
    args = (rows, np.array([NEW]), np.zeros((1, 1), np.float32), np.array([engine.now]), engine.statistics, ("ease",))
    assert fitting(*args, NOTHING).tolist() == [np.inf]


def test_where_lists_repeat_a_new_item_does_not_compete_with_what_is_known() -> None:
    # In both rows four items stand before the new one. The second row knows two of them.
    engine, others = over(), [0, 1, 2, 3]
    rows, items = np.repeat([0, 1], 5), np.array([*others, NEW] * 2)
    by_content, by_words = [0, 1, 2, 3, 30], [9, 8, 0, 1, NEAREST]
    ranks = np.array([[each, 50, words] for each, words in zip(by_content, by_words, strict=True)] * 2, np.float32)
    known = Histories.from_rows([([], []), ([1, 3], [0.0, 1.0])])
    moments = np.full(2, engine.now)
    found = fitting(rows, items, ranks, moments, engine.statistics, MEMBERS, known)
    assert found[4] == np.inf, "too far by words for the first row"
    assert found[9] == NEAREST - 2
    assert np.isinf(found[[0, 1, 2, 3, 5, 6, 7, 8]]).all(), "old items"
