"""Users stand in the order of their first events, whatever numbers they had."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nightreel.data.histories import users_in_order

Row = tuple[float, int]
ROWS = st.lists(st.tuples(st.integers(0, 5).map(float), st.integers(0, 3)), min_size=1, max_size=5).map(sorted)


def ordered(users: list[list[Row]]) -> list[list[Row]]:
    """The users' rows of (time, item) in the order that is found for them."""
    user = np.repeat(np.arange(len(users)), [len(rows) for rows in users])
    time, item = (np.array([row[at] for rows in users for row in rows]) for at in (0, 1))
    return [users[number] for number in users_in_order(user, time, [item, np.full(len(item), np.nan)])]


def test_the_first_event_decides_and_then_what_the_events_are() -> None:
    late, early, also = [(5.0, 1)], [(1.0, 3), (9.0, 1)], [(1.0, 2), (9.0, 1)]
    found = ordered([late, early, also])
    assert found[2] == late and found == ordered([also, late, early])


def test_the_order_of_events_counts() -> None:
    one, other = [(1.0, 1), (1.0, 2)], [(1.0, 2), (1.0, 1)]
    assert ordered([one, other]) == ordered([other, one])


@given(st.lists(ROWS, min_size=1, max_size=8).flatmap(lambda users: st.tuples(st.just(users), st.permutations(users))))
def test_numbers_make_no_difference(users: tuple[list[list[Row]], list[list[Row]]]) -> None:
    found = ordered(users[0])
    assert found == ordered(users[1])
    assert [rows[0][0] for rows in found] == sorted(rows[0][0] for rows in users[0])


def test_nobody() -> None:
    assert users_in_order(np.empty(0, np.int64), np.empty(0), [np.empty(0)]).tolist() == []
