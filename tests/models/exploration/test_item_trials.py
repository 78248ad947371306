"""What a log tells of how items were taken, by hand: from impressions, from judgements, from counts."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.contract.schema import CLEAN_EVENTS, MOMENT
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.models.exploration.content_space import ContentSpace, fits_before
from nightreel.models.exploration.item_trials import ItemTrials, logged_trials

CONTENT = np.eye(4, dtype=np.float32)
BEGIN = 1_700_000_000.0


def log(
    *rows: tuple[int, int, float, str], clock: str = "time", published: list[float | None] | None = None
) -> Dataset:
    """Of (user, item, time, event); times are seconds after BEGIN."""
    kinds = [row[3] for row in sorted(rows)]
    user, item, time = (np.array(column) for column in list(zip(*sorted(rows), strict=True))[:3])
    positive = [kind in ("play", "like", "glance") for kind in kinds]
    table = pa.table({
        "user": user, "item": item, "time": BEGIN + time.astype(float), "event": kinds, "value": np.full(len(user), np.nan),
        "positive": positive, "negative": [kind == "dislike" for kind in kinds], "seen": positive, "gain": [0.1 if kind == "glance" else 1.0 for kind in kinds],
    }).cast(CLEAN_EVENTS)  # fmt: skip
    table = table.take(np.lexsort((time, user)))
    since = [None if at is None else dt.datetime.fromtimestamp(BEGIN + at, dt.UTC) for at in published or [None] * 4]
    names = [f"i{n}" for n in range(4)]
    items = pa.table({"item_id": names, "title": names, "published_at": pa.array(since, MOMENT)})
    return Dataset(items, [f"u{n}" for n in range(5)], table, {}, clock, True, "", BEGIN + 100, {}, {})


def trials(
    *rows: tuple[int, int, float, str], clock: str = "time", published: list[float | None] | None = None
) -> ItemTrials:
    found = logged_trials(log(*rows, clock=clock, published=published), CONTENT)
    assert found is not None
    return found


def test_what_was_shown_is_a_trial_and_taken_if_a_play_follows() -> None:
    found = trials(
        (0, 0, 10, "impression"), (0, 0, 11, "play"),   # taken
        (1, 0, 10, "impression"), (1, 0, 20, "impression"),  # passed over twice: one trial
        (2, 1, 10, "play"), (2, 1, 20, "impression"),   # played before it was shown: not because of it
        (3, 2, 10, "play"),                             # found elsewhere: no trial
    )  # fmt: skip
    assert found.how == "shown"
    assert found.trials.tolist() == [2, 1, 0, 0] and found.successes.tolist() == [1, 0, 0, 0]
    assert found.squares == 1.0 and found.noise == pytest.approx(2 / 5 * 3 / 5)
    # User 2 alone had a history when the item was shown: the item itself, played before.
    assert found.fits.tolist() == [0, 1, 0, 0] and (found.fit_squares, found.fit_successes) == (1.0, 0.0)


def test_what_was_left_after_a_moment_was_not_taken() -> None:
    found = trials((0, 0, 10, "impression"), (0, 0, 11, "glance"), (1, 0, 10, "impression"), (1, 0, 11, "play"))
    assert found.trials.tolist() == [2, 0, 0, 0] and found.successes.tolist() == [1, 0, 0, 0]


def test_where_nothing_was_shown_dislikes_tell() -> None:
    found = trials(
        (0, 0, 10, "play"), (1, 0, 10, "dislike"), (2, 1, 10, "play"), (3, 1, 10, "play"),
        (0, 1, 5, "dislike"), (0, 1, 15, "like"),  # taken back
        (4, 0, 5, "play"), (4, 0, 15, "dislike"),  # regretted
    )  # fmt: skip
    assert found.how == "judged"
    assert found.trials.tolist() == [3, 3, 0, 0] and found.successes.tolist() == [1, 3, 0, 0]


def test_else_users_are_counted_against_what_time_would_give() -> None:
    plays = [
        (0, 0, 0.0, "play"),
        (1, 0, 10.0, "play"),
        (2, 0, 20.0, "play"),
        (3, 1, 20.0, "play"),
        (4, 1, 30.0, "play"),
    ]
    found = trials(*plays, published=[None, None, 25.0, None])
    # There are item 0 from 0 on, item 1 from its first play at 20 on, item 2 from 25 on, item 3 never.
    assert found.how == "counted"
    assert found.trials == pytest.approx([1 + 2 * 0.5 + 1 / 3, 1 / 3, 1 / 3, 0])
    assert found.successes**2 / np.where(found.trials > 0, found.trials, 1) == pytest.approx([2, 1, 0, 0])
    assert found.squares == pytest.approx(3) and found.noise == 0.25
    without = trials(*plays, clock="order")
    assert without.trials == pytest.approx([5 / 4] * 4)
    assert without.squares == pytest.approx(5)


def test_a_log_in_which_nobody_takes_anything_tells_nothing() -> None:
    assert logged_trials(log((0, 0, 1, "impression"), (1, 1, 1, "dislike")), CONTENT) is None


def test_fit_to_what_was_taken_before_is_the_readers_fit_to_the_profile() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 12)).astype(np.float32)
    vectors[7] = 0.0  # no content
    space = ContentSpace.fit(vectors, 5)
    reduced = space.reduced(vectors)
    assert np.linalg.norm(reduced, axis=1) == pytest.approx(np.where(np.arange(300) == 7, 0.0, 1.0), abs=1e-5)
    items = rng.integers(0, 300, 250)
    past = Histories.from_rows([(items.tolist(), np.arange(250.0).tolist())])
    asked = Histories.from_rows([([3, 4], [250.0, 120.0])])
    expected = [reduced[3] @ space.profile(vectors[items]), reduced[4] @ space.profile(vectors[items[:120]])]
    assert fits_before(past, reduced, asked) == pytest.approx(expected, abs=1e-5)
