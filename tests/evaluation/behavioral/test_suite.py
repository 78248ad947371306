"""Behavioural tests that are asked of a real reader: the same item twice, and items that are withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nightreel.evaluation.behavioral.duplicate_items import doubled, duplicate_items
from nightreel.evaluation.behavioral.hidden_items import hidden_items
from nightreel.evaluation.behavioral.suite import run_behavioral_tests
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.test_set import TestSet
from nightreel.models.engine import Engine
from nightreel.reader.reader import Reader
from nightreel.reader.visibility import Standing, Standings
from tests.support.bundles import write_bundle
from tests.support.settings import settings

ITEMS = 30


@pytest.fixture(scope="module", params=["time", "order"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp(request.param) / "bundle"
    write_bundle(folder, items=ITEMS, clock=request.param)
    return Reader.open_bundle(folder)


@pytest.fixture
def question(reader: Reader) -> TestSet:
    known = reader.histories.take(np.arange(len(reader.user_ids)))
    return TestSet(
        fold="leave_last_out", users=np.arange(len(known)), histories=known, exclude=known, moments=known.last_times,
        truth=Truth.of(known, ITEMS), bits=np.ones(ITEMS), cold=0,
    )  # fmt: skip


def test_a_sound_candidate_passes_every_test(reader: Reader, question: TestSet) -> None:
    found = {
        each.name: each for each in run_behavioral_tests(question, reader, reader.items.genres, settings().evaluate)
    }
    assert len(found) == 5
    assert found["duplicated items rank alike"].figure == 1
    gone = found["blocked and expired items are never shown"]
    # Every user's list; a history's, its reasons, a stranger's; five users one by one and at once; search, neighbours and
    # what is told of an item.
    assert (gone.figure, gone.cases) == (1, 40 + 3 + 5 + 1 + 3 * 5)
    assert not [each.name for each in found.values() if each.failed]


def test_a_member_ranks_the_copies_as_their_items_and_the_rest_as_before(reader: Reader, question: TestSet) -> None:
    asked: dict[str, Any] = {"exclude": None, "hidden": None, "model": "ease"}
    both, copied = doubled(reader.engine, np.array([3, 4])), ITEMS + np.arange(2)
    items, scores = both.top_k(question.histories, question.moments, ITEMS + 2, **asked)
    plain, _ = reader.engine.top_k(question.histories, question.moments, ITEMS, **asked)
    assert [row[row < ITEMS].tolist() for row in items] == plain.tolist()
    for row, values in zip(items.tolist(), scores, strict=True):
        assert [values[row.index(each)] for each in copied] == [values[row.index(each)] for each in (3, 4)]


class Sloppy(Engine):
    """Never shows the second copy of an item."""

    def top_k(self, *given: Any, exclude: Any, hidden: Any, **named: Any) -> Any:
        return super().top_k(*given, exclude=exclude, hidden=np.arange(self.n_items) >= ITEMS, **named)


def test_a_copy_that_is_ranked_otherwise_fails(reader: Reader, question: TestSet) -> None:
    engine = Sloppy(**{field.name: getattr(reader.engine, field.name) for field in fields(reader.engine)})
    found = duplicate_items(question, engine, least=0.9)
    assert (found.figure, found.failed) == (0, True)
    assert found.cases > 0


DOORS = ("recommend", "recommend_users", "recommend_many", "search", "similar", "explain")
OPEN_TO_ALL: dict[str, Any] = {
    "blocked": np.zeros(ITEMS, bool),
    "published": -np.full(ITEMS, np.inf),
    "expires": np.full(ITEMS, np.inf),
}


def with_door(reader: Reader, door: str, answer: Callable[..., Any]) -> Reader:
    """The reader with another answer on one of its doors."""
    kind = type("Faulty", (Reader,), {door: answer})
    found = kind(**{field.name: getattr(reader, field.name) for field in fields(reader) if field.init})
    assert isinstance(found, Reader)
    return found


@pytest.mark.parametrize("right", [*OPEN_TO_ALL, "all of them"])
@pytest.mark.parametrize("door", DOORS)
def test_a_withdrawn_item_that_shows_on_one_door_fails(
    reader: Reader, question: TestSet, door: str, right: str
) -> None:
    """The door takes no look at what is blocked, or not yet published, or has expired; all others do."""
    opened = OPEN_TO_ALL if right == "all of them" else {right: OPEN_TO_ALL[right]}

    def blind(self: Reader, *given: Any, **named: Any) -> Any:
        return getattr(Reader, door)(replace(self, items=replace(self.items, **opened)), *given, **named)

    found = hidden_items(question, with_door(reader, door, blind))
    assert found.failed
    assert "20 of the most recommended items" in found.text


@pytest.mark.parametrize("right", OPEN_TO_ALL)
def test_a_reader_that_is_blind_to_one_right_fails(reader: Reader, question: TestSet, right: str) -> None:
    def blind(self: Reader, rights_at: float | None = None) -> Standing:
        items = replace(self.items, **{right: OPEN_TO_ALL[right]})
        return Standings(items, None, self.stored.without).at(self.now() if rights_at is None else rights_at)

    assert hidden_items(question, with_door(reader, "standing", blind)).failed


@pytest.mark.parametrize("clock", [1.0, 4.0e9], ids=["behind", "ahead"])
@pytest.mark.parametrize("door", DOORS)
def test_a_door_that_goes_by_another_clock_fails(reader: Reader, question: TestSet, door: str, clock: float) -> None:
    """By one that is behind (the data's end, say: what let search and similar items fail on good nights) nothing has
    expired yet; by one that is ahead, what comes tomorrow shows today."""

    def other(self: Reader, *given: Any, **named: Any) -> Any:
        return getattr(Reader, door)(self, *given, **named, rights_at=clock)

    assert hidden_items(question, with_door(reader, door, other)).failed


def test_the_moments_of_the_test_have_no_say(reader: Reader, question: TestSet) -> None:
    """A gate by global time asks every user at the cut, which lies after the end of what the candidate knows."""
    for moment in (1.0, 1.0e9, 4.0e9):
        assert hidden_items(replace(question, moments=np.full(len(question), moment)), reader).figure == 1


def test_without_lists_there_is_nothing_to_try(reader: Reader, question: TestSet) -> None:
    nobody = question.take(np.empty(0, np.int64))
    assert duplicate_items(nobody, reader.engine, least=0.9).figure is None
    assert hidden_items(nobody, reader).figure is None
    blocked = replace(reader, items=replace(reader.items, blocked=np.ones(ITEMS, bool)))
    assert "all lists are empty" in hidden_items(question, blocked).text
