"""What a fold asks: who, from which history, at which moment, with which truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.test_set import ask, build_test_set
from tests.evaluation.rankers import Answer, Successors, planted


class Told:
    """Behaviour given as histories per (kind, part)."""

    def __init__(self, n_items: int, exclude_seen: bool = True, **parts: list[list[int]]) -> None:
        self.n_items, self.exclude_seen, self.parts = n_items, exclude_seen, parts

    def _of(self, kind: str, parts: tuple[str, ...]) -> Histories:
        rows = zip(*[self.parts[f"{kind}_{part}"] for part in parts], strict=True)
        return Histories.from_rows(
            (items := [item for part in row for item in part], np.arange(len(items)) + 10.0) for row in rows
        )

    def positives(self, fold: str | None, parts: tuple[str, ...]) -> Histories:
        return self._of("positive", parts)

    def seen(self, fold: str | None, parts: tuple[str, ...]) -> Histories:
        return self._of("seen", parts)


FOUR_USERS = Told(
    9,
    positive_train=[[1, 2], [3], [], [4]],
    positive_valid=[[5], [], [], []],
    positive_test=[[6, 7], [8], [1], []],
    seen_train=[[1, 2, 6], [3, 8], [2], [4]],
    seen_valid=[[5], [], [], []],
)


def test_truth_leaves_out_what_was_seen_and_users_left_with_nothing() -> None:
    asked = build_test_set(FOUR_USERS, "fold", None)
    assert asked.users.tolist() == [0]  # user 1's only test item was seen; 2 has no history; 3 has no test
    assert asked.truth.keys.tolist() == [7]
    assert asked.histories[0][0].tolist() == [1, 2, 5]
    assert asked.exclude is not None
    assert asked.exclude[0][0].tolist() == [1, 2, 6, 5]
    assert asked.cold == 1


def test_where_repeats_are_allowed_nothing_is_left_out() -> None:
    told = Told(9, exclude_seen=False, **FOUR_USERS.parts)
    asked = build_test_set(told, "fold", None)
    assert asked.users.tolist() == [0, 1]
    assert asked.truth.counts.tolist() == [2, 1]
    assert asked.exclude is None


def test_the_moment_is_the_cut_or_the_last_history_event() -> None:
    assert build_test_set(FOUR_USERS, "fold", None).moments.tolist() == [12.0]
    assert build_test_set(FOUR_USERS, "fold", 99.0).moments.tolist() == [99.0]


def test_novelty_counts_every_user_with_a_history_not_only_those_asked() -> None:
    bits = build_test_set(FOUR_USERS, "fold", None).bits
    assert bits[4] == -np.log2(1 / 3)
    assert bits[0] == -np.log2(0.5 / 3)


def test_blocks_answer_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted(tmp_path)
    asked = build_test_set(data, "leave_last_out", None)
    ranker = Successors(asked.histories, data.n_items)
    whole = ask(ranker, asked, 10, "blend")
    monkeypatch.setattr("nightreel.evaluation.test_set._USERS", 7)
    assert np.array_equal(ask(ranker, asked, 10, "blend"), whole)


def test_a_catalogue_shorter_than_the_list_is_padded() -> None:
    class Short(Successors):
        def recommend_many(self, histories: Histories, **_: object) -> Answer:  # type: ignore[override]
            return Answer(np.zeros((len(histories), 1), np.int32))

    asked = build_test_set(FOUR_USERS, "fold", None)
    assert ask(Short(asked.histories, 9), asked, 3, "blend").tolist() == [[0, -1, -1]]
