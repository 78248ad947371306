"""A fit that is taken over to another catalogue: known items score as before, new ones have no part in it."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Placeable
from nightreel.models.registry import models, spec

ITEMS = 12
ROWS = np.array([3, -1, 0, 1, 2, 4, 5, 6, -1, 7, 8, 9, 11, 10])  # of 14 items, two are new, and two changed places


def catalogue(rows: np.ndarray) -> Catalogue:
    """The items of these rows, with content of their own."""
    content = np.random.default_rng(1).normal(size=(ITEMS + 1, 6)).astype(np.float32)
    vectors = content[np.where(rows < 0, ITEMS, rows)]
    return Catalogue(vectors, np.ones((len(rows), 1), np.float32), np.full(len(rows), np.nan, np.float32))


def histories(numbers: np.ndarray) -> Histories:
    """Thirty users' events, with items by their numbers."""
    generator = np.random.default_rng(0)
    rows = [(numbers[generator.choice(ITEMS, 6, replace=False)], np.arange(6.0)) for _ in range(30)]
    return Histories.from_rows(rows)


@pytest.mark.parametrize("name", ["ease", "slist", "item_knn", "svd"])
def test_known_items_score_as_before_and_new_ones_nothing(name: str) -> None:
    before, after = np.arange(ITEMS), np.array([int(np.flatnonzero(row == ROWS)[0]) for row in range(ITEMS)])
    known = spec(name)
    model = known.cls.fit(histories(before), catalogue(before), known.config(), clock=False)
    assert isinstance(model, Placeable)
    placed = model.placed(catalogue(ROWS), ROWS)
    theirs = model.score(histories(before), np.zeros(30))
    ours = placed.score(histories(after), np.zeros(30))
    assert ours[:, after] == pytest.approx(theirs, rel=1e-5, abs=1e-6) and theirs.any()
    assert not ours[:, ROWS < 0].any()


@pytest.mark.parametrize("name", ["content_knn", "tfidf_knn", "popularity"])
def test_what_is_made_from_the_catalogue_is_made_anew(name: str) -> None:
    assert name in models() and not hasattr(spec(name).cls, "placed")
