"""A return is another play, some time later; a like of what was just played, and a play of the same hour, are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.data.quality import feedback_labels
from nightreel.data.sittings import Sittings, meetings_of
from nightreel.data.splits import Events
from tests.support.datasets import items_table, prepare
from tests.support.settings import settings

HOUR = 3600.0
DAY = 24 * HOUR
Row = tuple[int, int, float, str]


def met(rows: Sequence[Row], gap_s: float | None = 4 * HOUR, seen: str = "play watch like rating") -> Sittings:
    """Rows of (user, item, time, kind); a kind that ends in - is not positive."""
    user, item, time, kind = zip(*rows, strict=True)
    positive = np.array([not name.endswith("-") for name in kind])
    names = [name.rstrip("-") for name in kind]
    flags = np.array([name in seen.split() for name in names])
    events = Events(np.array(user, np.int32), np.array(item, np.int32), np.array(time, float), positive, flags)
    return meetings_of(events, feedback_labels.kinds(pa.table({"event": names})), gap_s)


def test_a_like_after_the_play_is_the_same_meeting_and_no_return_however_late() -> None:
    found = met(
        [(0, 1, 0, "play"), (0, 1, 60, "like"), (0, 1, 30 * DAY, "like"), (1, 1, 0, "like"), (1, 1, DAY, "play")]
    )
    assert found.once.tolist() == [True, False, False, True, False]
    assert not found.again.any() and found.returning == 0


def test_another_play_some_time_later_is_a_return_and_counts_once() -> None:
    rows: list[Row] = [(0, 1, 0, "play"), (0, 1, HOUR, "play"), (0, 1, DAY - 60, "like"), (0, 1, DAY, "play"),
                       (0, 1, DAY + 60, "like"), (0, 1, DAY + HOUR, "play")]  # fmt: skip
    found = met(rows)
    assert found.once.tolist() == [True, False, False, True, False, False]
    assert found.again.tolist() == [False, False, False, True, False, False] and found.returning == 0.5


def test_what_was_only_begun_is_no_first_meeting_of_its_own_but_can_be_returned_to() -> None:
    found = met([(0, 1, 0, "watch-"), (0, 1, 60, "watch"), (0, 2, 0, "watch-"), (0, 2, DAY, "watch")])
    assert found.once.tolist() == [False, True, False, True] and not found.again.any()


def test_where_there_is_an_order_another_item_in_between_tells_meetings_apart() -> None:
    rows: list[Row] = [(0, 1, 0, "play"), (0, 1, 1, "play"), (0, 2, 2, "play"), (0, 2, 3, "like"), (0, 1, 4, "play")]
    found = met(rows, gap_s=None)
    assert found.once.tolist() == [True, False, True, False, True]
    assert found.again.tolist() == [False, False, False, False, True]


def test_users_and_items_are_kept_apart_and_events_without_an_item_count_for_nothing() -> None:
    found = met(
        [(0, -1, 0, "play"), (0, 1, 0, "play"), (0, 2, DAY, "play"), (1, 1, 2 * DAY, "play"), (1, -1, 0, "play")]
    )
    assert found.once.tolist() == [False, True, True, True, False] and not found.again.any()
    assert meetings_of(Events(*(np.empty(0, t) for t in (np.int32, np.int32, float, bool, bool))), np.empty(0, np.int64),
                       None).returning == 0  # fmt: skip


def podcasts(folder: Path, *, replays: int) -> Path:
    """60 users play 20 of 40 episodes, a day between two; each is liked a minute after. replays: of how many of these
    each user plays one again after a week."""
    rows = []
    for user in range(60):
        for n in range(20):
            at = n * DAY + user * 60
            episode = (user * 3 + n * 7) % 40
            rows += [(user, episode, at, "play"), (user, episode, at + 60, "like")]
            if n < replays:
                rows.append((user, episode, at + 7 * DAY + HOUR, "play"))
    rows.sort(key=lambda row: row[2])
    folder.mkdir(parents=True)
    pq.write_table(items_table([f"e{n}" for n in range(40)], "podcast"), folder / "items.parquet")
    table = {
        "user_id": [f"u{row[0]}" for row in rows],
        "item_id": [f"e{row[1]}" for row in rows],
        "timestamp": pa.array([1_710_000_000 + int(row[2]) for row in rows]),
        "event": [row[3] for row in rows],
    }
    pq.write_table(pa.table(table), folder / "events.parquet")
    return folder


@pytest.mark.parametrize(("replays", "out"), [(0, True), (4, False)])
def test_likes_make_nobody_come_back_and_replays_do(tmp_path: Path, replays: int, out: bool) -> None:
    folder = prepare(tmp_path / "run", podcasts(tmp_path / "source", replays=replays)) / "data/validate"
    assert load_dataset(folder).exclude_seen is out
    assert ("lists may contain seen items" in (folder / "report.md").read_text()) is not out


def test_where_repeats_are_allowed_no_list_is_praised_for_the_like_of_what_was_just_played(tmp_path: Path) -> None:
    source = podcasts(tmp_path / "source", replays=0)
    data = load_dataset(prepare(tmp_path / "run", source, {"validate.exclude_seen": "off"}) / "data/validate")
    past, test = (data.positives("leave_last_out", parts) for parts in (("train", "valid"), ("test",)))
    for user in range(data.n_users):
        assert not set(past[user][0]) & set(test[user][0]) and len(test[user][0]) == 1
    assert data.positives(None).lengths.tolist() == [20] * 60 and data.seen(None).lengths.tolist() == [40] * 60


def test_leaves_out_seen_looks_at_media_and_returns() -> None:
    music, films = (pa.chunked_array([[kind] * 3]) for kind in ("music", "video"))
    given = settings().validate_
    assert feedback_labels.leaves_out_seen(given, music, 0.04) and not feedback_labels.leaves_out_seen(
        given, music, 0.06
    )
    assert feedback_labels.leaves_out_seen(given, films, 0.5)
