"""Recent events in process: what they do to a list, who sees them, and how long."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nightreel import Event, Reader, RecentEvents, UserError
from nightreel.reader.options import RequestOptions
from tests.support.bundles import UNTIL, taste, write_bundle

KEY = b"a key for tests"


@pytest.fixture(scope="module", params=["time", "order"])
def reader(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Reader:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder, clock=request.param)
    return Reader.open_bundle(folder)


def test_likes_extend_the_history_and_dislikes_lower_their_like(reader: Reader) -> None:
    recent = RecentEvents(":memory:", KEY)
    before = [each.item_id for each in reader.recommend("u001", k=12)]
    assert reader.recommend("u001", k=12, recent=recent.of("u001")) == reader.recommend("u001", k=12)
    recent.add([Event("u001", item, "like") for item in ("i000", "i002", "i004", "i006")])
    after = [each.item_id for each in reader.recommend("u001", k=12, recent=recent.of("u001"))]
    assert sum(taste(int(i[1:])) == 0 for i in after) > sum(taste(int(i[1:])) == 0 for i in before)
    recent.add([Event("u001", item, "dislike") for item in ("i000", "i002", "i008")])
    less = [each.item_id for each in reader.recommend("u001", k=12, recent=recent.of("u001"))]
    assert sum(taste(int(i[1:])) == 0 for i in less) < sum(taste(int(i[1:])) == 0 for i in after)
    assert not {"i000", "i002", "i008"} & set(less)
    options = RequestOptions(skipped=("i010",))
    assert "i010" not in [e.item_id for e in reader.recommend("u001", k=12, options=options, recent=recent.of("u001"))]


def test_what_the_version_has_learned_is_not_counted_twice(reader: Reader) -> None:
    row = int(reader.users.rows(["u001"])[0])
    item, moment = reader.items.ids[int(reader.histories[row][0][-1])], float(reader.histories[row][1][-1])
    recent = RecentEvents(":memory:", KEY, now=lambda: UNTIL + 10)
    recent.add([Event("u001", item, "like", time=min(moment, UNTIL) if moment > 1e6 else UNTIL)])
    assert [e.item_id for e in reader.recommend("u001", k=8, recent=recent.of("u001"))] == [
        e.item_id for e in reader.recommend("u001", k=8)
    ]


def test_what_was_said_last_counts() -> None:
    recent = RecentEvents(":memory:", KEY)
    recent.add([Event("u", "a", "like"), Event("u", "a", "dislike"), Event("u", "b", "skip"), Event("u", "b", "play")])
    recent.add([Event("u", "c", "rating", 1.0), Event("u", "d", "watch", 0.1), Event("u", "e", "impression")])
    assert (recent.of("u").liked, recent.of("u").disliked) == (("b",), ("a", "c"))
    assert recent.of("u").seen == ("a", "b", "c", "d") and recent.of("v").revision == 0


def test_two_processes_see_each_other_and_old_events_go(tmp_path: Path) -> None:
    now = [1e9]
    one, two = (RecentEvents(tmp_path / "r.sqlite", KEY, retention_s=100, now=lambda: now[0]) for _ in range(2))
    one.add([Event("u", "a", "like")])
    assert two.of("u").liked == ("a",) and two.revision("u") == 1
    now[0] += 60
    two.add([Event("u", "b", "like")])
    now[0] += 60
    assert one.of("u").liked == ("b",)
    two.add([Event("v", "c", "like", id="e1")])  # whoever tells something next deletes what is old
    assert one.erase(["u"]) == 1 and two.of("u").revision == 0
    now[0] += 101
    two.forget_old()
    assert two.of("v").revision == one.revision("v") == 0 and two.add([Event("v", "c", "like", id="e1")]) == 1


def test_thousands_of_old_events_go_in_small_steps_and_nothing_to_do_costs_nothing(tmp_path: Path) -> None:
    now = [1e9]
    recent = RecentEvents(tmp_path / "r.sqlite", KEY, retention_s=100, now=lambda: now[0])
    recent.add([Event(f"u{n % 50}", f"i{n}", "like", id=str(n)) for n in range(3500)])
    began = time.process_time()
    for _ in range(200):
        recent.forget_old()
    assert time.process_time() - began < 1 and recent.revision("u1") > 0
    now[0] += 200
    recent.forget_old()
    with sqlite3.connect(tmp_path / "r.sqlite") as database:
        assert database.execute("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM told)").fetchone() == (
            0,
            0,
        )
        for table, key in (("events", "number"), ("told", "id")):
            plan = database.execute(f"EXPLAIN QUERY PLAN SELECT {key} FROM {table} WHERE time < 1").fetchall()
            assert "INDEX" in str(plan)


def test_an_impression_of_a_list_counts_once() -> None:
    recent = RecentEvents(":memory:", KEY)
    seen = Event("u", "a", "impression", slate="s1")
    told = [
        seen,
        seen,
        replace(seen, id="e1"),
        replace(seen, item="b"),
        replace(seen, slate="s2"),
        replace(seen, user="v"),
    ]
    assert recent.add(told) == 4
    assert recent.add([replace(seen, id="e1"), replace(seen, item="b", id="e2")]) == 0
    assert recent.add([Event("u", "a", "like", slate="s1")] * 2) == 2, "only impressions"


def test_a_wrong_event_or_file_is_refused_by_name(tmp_path: Path) -> None:
    recent = RecentEvents(":memory:", KEY)
    with pytest.raises(UserError, match=r"events\.1\.value: is 9 for the event rating; give 0\.5 to 5"):
        recent.add([Event("u", "a", "like"), Event("u", "b", "rating", 9)])
    assert recent.of("u").revision == 0
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="recent events can't be kept there"):
        RecentEvents(tmp_path / "file" / "r.sqlite", KEY)
