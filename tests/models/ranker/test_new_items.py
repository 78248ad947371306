"""Places for new items: who gets them, in which order, and that nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import Engine
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.ranker.new_items import with_places
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.training_positions import stacked
from tests.models.test_engine import ask
from tests.support.planted import DAY, ITEMS, catalogue, choices, histories

EVERY = 5
NONE = np.inf


def in_places(fits: list[float], scores: list[float] | None = None) -> list[int]:
    """Candidates of one row in the order of the list; scores descend unless given."""
    n = len(fits)
    own = np.array(scores or range(n, 0, -1), np.float32)
    empty = np.zeros((n, 0), np.float32)
    found = Candidates(np.zeros(n, np.int32), np.arange(n, dtype=np.int32), empty, empty, empty[:1], np.array(fits))
    raised = with_places(found, own, EVERY)
    assert set(raised) == set(own) or scores, "the list keeps its scores"
    order: list[int] = np.argsort(-raised, kind="stable").tolist()
    return order


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ([NONE] * 12, [*range(12)]),
        ([NONE] * 11 + [0.0], [0, 1, 2, 3, 11, 4, 5, 6, 7, 8, 9, 10]),
        # The best fit comes first, and the next place is for the next one.
        ([NONE] * 10 + [3.0, 1.0], [0, 1, 2, 3, 11, 4, 5, 6, 7, 10, 8, 9]),
        # What the ranking shows by itself fills the place, and the places after it are for others.
        ([NONE, 2.0] + [NONE] * 9 + [0.0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 9, 10]),
        ([NONE] * 4, [0, 1, 2, 3]),
    ],
)
def test_the_places(fits: list[float], expected: list[int]) -> None:
    assert in_places(fits) == expected


def test_equal_scores_keep_the_order() -> None:
    assert in_places([NONE] * 7 + [0.0], [1.0] * 8) == [0, 1, 2, 3, 7, 4, 5, 6]


NEW_OF_TASTE = (ITEMS, ITEMS + 1)  # of even users, of odd users


@cache
def over(every: int = EVERY) -> Engine:
    """The planted world and two items more, without events, in the middle of each taste."""
    old = catalogue()
    middle = np.stack([old.vectors[taste::2].mean(axis=0) for taste in (0, 1)])
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    new = Catalogue(
        np.concatenate([old.vectors, middle.astype(np.float32)]),
        np.concatenate([old.genres, np.eye(2, dtype=np.float32)]),
        np.concatenate([old.years, np.full(2, 2021, np.float32)]),
    )
    return replace(fit_engine(histories(), new, choices(), clock=True), new_every=every)


def test_a_new_item_reaches_those_whose_taste_it_is_of_and_nobody_else() -> None:
    lists = ask(over(), histories(), k=10)
    taste = np.arange(len(lists)) % 2
    for of, new in enumerate(NEW_OF_TASTE):
        shown = (lists == new).any(axis=1)
        assert shown[taste == of].all() and not shown[taste != of].any()
        assert (lists[taste == of].tolist()[0]).index(new) <= EVERY - 1


def test_without_places_lists_are_those_of_the_ranker() -> None:
    kept, without = ask(over(), histories(), k=10), ask(over(0), histories(), k=10)
    assert not np.isin(without, NEW_OF_TASTE).any()
    for mine, plain in zip(kept.tolist(), without.tolist(), strict=True):
        rest = [item for item in mine if item not in NEW_OF_TASTE]
        assert rest == plain[: len(rest)], "the others keep their order"


def test_a_longer_list_begins_as_a_shorter_one_and_a_row_does_not_depend_on_others() -> None:
    rows = histories().take(np.arange(6))
    whole = ask(over(), rows, k=20)
    assert np.array_equal(whole[:, :10], ask(over(), rows, k=10))
    assert np.array_equal(whole, np.concatenate([ask(over(), rows.take(np.array([row])), k=20) for row in range(6)]))


def test_what_is_hidden_or_seen_takes_no_place() -> None:
    hidden = np.zeros(ITEMS + 2, bool)
    hidden[list(NEW_OF_TASTE)] = True
    assert not np.isin(ask(over(), histories(), hidden=hidden), NEW_OF_TASTE).any()


@pytest.mark.parametrize(("events", "days", "new"), [(4, 13, True), (5, 13, False), (4, 20, False)])
def test_an_item_is_new_while_it_has_few_events_of_the_last_two_weeks(events: int, days: int, new: bool) -> None:
    base = over()
    end = base.now - days * DAY
    few = Histories.from_rows([([ITEMS], [end])] * events)
    counted = base.statistics.fit(stacked([histories(), few]), base.catalogue, (1.0, 7.0), 16, clock=True)
    lists = ask(replace(base, statistics=counted), histories().take(np.arange(0, 80, 2)), k=10)
    assert (lists == ITEMS).any(axis=1).all() == new
