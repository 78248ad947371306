"""Splits: hand-computed cases, and properties over random logs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nightreel.data import split_protocols, splits
from nightreel.data.splits import TEST, TRAIN, UNUSED, VALID, Events
from nightreel.settings.params_file import load


def log(rows: list[tuple[int, int, float, bool, bool]]) -> Events:
    """Events of (user, item, time, positive, seen), sorted as validate sorts them: stable by user and time."""
    user, item, time, positive, seen = (np.array(c) for c in zip(*rows, strict=True))
    order = np.lexsort((time, user))
    return Events(
        user[order].astype(np.int32),
        item[order].astype(np.int32),
        time[order].astype(float),
        positive[order],
        seen[order],
    )


def likes(user: int, items: list[int], start: float = 0.0) -> list[tuple[int, int, float, bool, bool]]:
    return [(user, item, start + n, True, True) for n, item in enumerate(items)]


def test_the_last_new_positive_is_test_and_the_one_before_it_validation() -> None:
    assert splits.leave_last_out(log(likes(0, [5, 6, 7, 8])), True).tolist() == [TRAIN, TRAIN, VALID, TEST]


def test_repeats_are_no_candidates_when_seen_items_are_left_out() -> None:
    events = log(likes(0, [5, 6, 7, 5, 7, 8, 5]))
    assert splits.leave_last_out(events, True).tolist() == [0, 0, VALID, UNUSED, UNUSED, TEST, UNUSED]
    assert splits.leave_last_out(events, False).tolist() == [0, 0, 0, 0, 0, VALID, TEST]


def test_an_item_seen_before_it_was_liked_is_no_candidate() -> None:
    # Item 9 is only seen at first (a comment); its later like could never be in a list that leaves seen items out.
    rows = [(0, 9, 0.0, False, True), *likes(0, [1, 2, 3], 1.0), (0, 9, 5.0, True, True)]
    assert splits.leave_last_out(log(rows), True).tolist() == [TRAIN, TRAIN, VALID, TEST, UNUSED]


def test_events_that_are_no_candidates_take_the_part_of_their_place() -> None:
    rows = likes(0, [1, 2, 3])
    rows += [(0, 4, 0.5, False, False), (0, 4, 1.5, False, False), (0, 4, 2.5, False, False)]
    assert splits.leave_last_out(log(rows), True).tolist() == [TRAIN, TRAIN, VALID, UNUSED, TEST, UNUSED]


def test_users_with_fewer_than_three_different_positives_only_train() -> None:
    events = log([*likes(0, [1, 2]), *likes(1, [1, 1, 2, 2]), *likes(2, [1, 2, 3]), (3, 7, 0.0, False, True)])
    fold = splits.leave_last_out(events, False)
    assert fold[events.user != 2].tolist() == [TRAIN] * 7
    assert fold[events.user == 2].tolist() == [TRAIN, VALID, TEST]


def test_ties_keep_the_order_of_the_source() -> None:
    events = log([(0, item, 1.0, True, True) for item in (3, 1, 2)])
    fold = splits.leave_last_out(events, True)
    assert events.item[fold == TEST].tolist() == [2] and events.item[fold == VALID].tolist() == [1]


def test_global_time_cuts_hold_their_share_and_the_latest_is_open_ended() -> None:
    events = log(likes(0, list(range(50))) + likes(1, list(range(50)), 0.5))
    (cut,) = splits.cut_moments(events, 0.1, 1)
    fold = splits.global_time(events, cut)
    assert [int((fold == part).sum()) for part in (TRAIN, VALID, TEST, UNUSED)] == [80, 10, 10, 0]
    assert events.time[fold == TRAIN].max() < cut[0] <= events.time[fold == VALID].min()
    assert events.time[fold == VALID].max() < cut[1] <= events.time[fold == TEST].min()


def test_rolling_cuts_step_back_by_a_window_and_leave_the_later_ones_unused() -> None:
    events = log(likes(0, list(range(100))))
    cuts = splits.cut_moments(events, 0.1, 3)
    folds = [splits.global_time(events, cut) for cut in cuts]
    assert [int((fold == UNUSED).sum()) for fold in folds] == [0, 10, 20]
    assert [int((fold == TEST).sum()) for fold in folds] == [10, 10, 10]
    assert not ((folds[0] == TEST) & (folds[1] == TEST)).any()
    assert ((folds[1] == TEST) == (folds[0] == VALID)).all()


def test_a_cut_after_a_moment_tests_all_that_came_later_and_validates_on_as_much_before_it() -> None:
    events = log(likes(0, list(range(100))))
    fold = splits.global_time(events, splits.moments_after(events, 94.0))
    assert [int((fold == part).sum()) for part in (TRAIN, VALID, TEST, UNUSED)] == [90, 5, 5, 0]
    assert events.time[fold == VALID].tolist() == [90.0, 91.0, 92.0, 93.0, 94.0], "the moment itself is known"


def chosen(earlier: float | None, **changes: float) -> list[tuple[float, float, float]]:
    """Cuts of ten users with an event an hour each, for four days."""
    rows = [row for user in range(10) for row in likes(user, list(range(96)), user / 100)]
    found = load().validate_.model_copy(update={"protocols": "global_time", "gate_users": 10, **changes})
    return split_protocols.choose(log(rows), "time", True, found, earlier).protocols["global_time"].cuts


def test_tonight_is_tested_on_what_came_since_the_version_that_it_goes_on_from() -> None:
    usual = chosen(None)
    assert chosen(90.5)[0][1] == np.nextafter(90.5, np.inf) != usual[0][1]
    assert chosen(90.5, gate_users=11) == usual, "too few users"
    assert chosen(66.0) == usual, "more than three times the usual share is newer"
    assert chosen(96.0) == usual, "nothing is newer"
    assert chosen(90.5, cuts=2) == chosen(None, cuts=2) and len(chosen(None, cuts=2)) == 2


def test_test_users_have_something_to_learn_from_and_something_new_to_find() -> None:
    rows = [*likes(0, [1, 2], 0.0), (0, 3, 90.0, True, True)]  # old and new
    rows += [(1, 3, 91.0, True, True)]  # new only
    rows += [*likes(2, [1], 1.0), (2, 1, 92.0, True, True)]  # a repeat
    events = log(rows)
    fold = splits.global_time(events, (50.0, 80.0, 100.0))
    assert splits.test_users(events, fold, True).tolist() == [0]
    assert splits.test_users(events, fold, False).tolist() == [0, 2]


def test_the_digest_tells_apart_parts_ids_and_events() -> None:
    events = log(likes(0, [0, 1, 2]))
    fold = splits.leave_last_out(events, True)
    other = Events(events.user, events.item[::-1].copy(), events.time, events.positive, events.seen)
    made = {
        splits.digest(events, {"a": fold}, ["x", "y", "z"], ["u"]),
        splits.digest(events, {"a": fold}, ["x", "yz", ""], ["u"]),
        splits.digest(events, {"a": fold}, ["x", "y", "z"], ["v"]),
        splits.digest(events, {"b": fold}, ["x", "y", "z"], ["u"]),
        splits.digest(events, {"a": np.zeros_like(fold)}, ["x", "y", "z"], ["u"]),
        splits.digest(other, {"a": fold}, ["x", "y", "z"], ["u"]),
    }
    assert len(made) == 6
    assert splits.digest(events, {"a": fold}, ["x", "y", "z"], ["u"]) in made


ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 12).map(float), st.booleans(), st.booleans()),
    min_size=1, max_size=60,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, exclude_seen=st.booleans())
def test_leave_last_out_never_trains_on_what_comes_after(
    rows: list[tuple[int, int, float, bool, bool]], exclude_seen: bool
) -> None:
    events = log(rows)
    fold = splits.leave_last_out(events, exclude_seen)
    for user in np.unique(events.user):
        own = fold[events.user == user].tolist()
        assert own.count(TEST) == own.count(VALID) <= 1
        if TEST not in own:
            assert set(own) == {TRAIN}
            continue
        valid, test = own.index(VALID), own.index(TEST)
        assert valid < test and set(own[:valid]) <= {TRAIN}
        assert all(part == UNUSED for n, part in enumerate(own) if n > valid and n != test)
        items, liked = events.item[events.user == user], events.positive[events.user == user]
        assert liked[test] and liked[valid]
        if exclude_seen:
            assert items[test] not in items[:test][liked[:test]] and items[test] != items[valid]
