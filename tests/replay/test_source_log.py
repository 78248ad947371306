"""The log as it was at an instant, whatever the source's files look like."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.sources import open_source
from nightreel.data.quality.type_tables import Loaded, load
from nightreel.errors import UserError
from nightreel.replay import source_log
from nightreel.replay.source_log import SourceLog
from nightreel.replay.troubles.delivery import deliver
from tests.support import datasets

ITEMS = """item_id,title,published_at,genres
old,Old,2024-01-01,Drama|War
new,New,2024-01-05,
early,Played before it came out,2024-02-01,
dateless,No date,,
bad,,2024-01-01,
"""
EVENTS = """user_id,item_id,timestamp,event
u1,old,2024-01-02T10:00:00Z,play
u1,early,2024-01-02T12:00:00Z,play
u2,old,2024-01-03T00:00:00Z,play
u2,new,2024-01-06T09:00:00Z,play
u3,old,when?,play
u3,old,2024-01-02T11:00:00Z,yodel
"""
ERASURES = "user_id,requested_at\nu1,2024-01-04\nu2,\n"


def no_remote(uri: str) -> SourceLog:
    raise AssertionError(uri)


def opened(folder: Path, clock: str = "auto") -> SourceLog:
    source = open_source(str(folder), folder, no_remote)  # type: ignore[arg-type]
    return source_log.read(source, clock=clock, slices=(), key=None)


def loaded(folder: Path) -> Loaded:
    source = open_source(str(folder), folder, no_remote)  # type: ignore[arg-type]
    return load([read_raw(file) for file in source.files], "time", None)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, text in {"items": ITEMS, "events-1": EVENTS, "erasures": ERASURES}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "events-2.csv").write_text("user_id,item_id,timestamp,event\nu4,new,1704326400,play\n")  # 2024-01-04
    (tmp_path / "terms.txt").write_text("ours")
    return tmp_path


def cut(log: SourceLog, day: int, folder: Path) -> Loaded:
    night = datetime(2024, 1, day, tzinfo=UTC).timestamp()
    deliver(log, (night,), 1, None).write(folder, log.source.terms)
    return loaded(folder)


def test_each_night_has_what_there_was_before_it(written: Path, tmp_path: Path) -> None:
    log, folder = opened(written), tmp_path / "cut"
    third = cut(log, 3, folder)
    # An event of that very instant is not before it; a faulty one comes when it came, for the night to set aside.
    assert third.events["event"].to_pylist() == ["play", "play", "yodel"] and third.rows["events"] == 3
    # `new` is out on the 5th, and `early` was played already; each night sets `bad` aside.
    assert third.items["item_id"].to_pylist() == ["old", "early", "dateless", "bad"]
    assert third.items["genres"].to_pylist()[0] == ["Drama", "War"]
    assert third.erasures["user_id"].to_pylist() == ["u2"], "a request without a date always holds"
    fifth = cut(log, 5, folder)
    assert fifth.events["user_id"].to_pylist() == ["u1", "u1", "u2", "u3", "u4"]
    assert fifth.items["item_id"].to_pylist() == ["old", "new", "early", "dateless", "bad"], "new was played on the 4th"
    assert fifth.erasures["user_id"].to_pylist() == ["u1", "u2"]
    fifth_night = datetime(2024, 1, 5, tzinfo=UTC).timestamp()
    assert deliver(log, (fifth_night,), 1, None).rows("events") == fifth.rows["events"] == 5
    assert (folder / "terms.txt").read_text().strip() == "ours"


def test_users_are_known_from_their_registration_on(written: Path, tmp_path: Path) -> None:
    (written / "users.csv").write_text(
        "user_id,country,languages,signed_up_at\nu1,DE,de|en,2024-01-01\nu4,FR,fr,2024-01-04T08:00:00Z\nu2,AT,,\n"
    )
    log = opened(written)
    assert cut(log, 3, tmp_path / "third").users["country"].to_pylist() == ["DE", "AT"]
    fifth = cut(log, 5, tmp_path / "fifth").users
    assert fifth["country"].to_pylist() == ["DE", "FR", "AT"] and fifth["languages"].to_pylist()[0] == ["de", "en"]


def test_a_cut_behind_the_end_is_the_source(tmp_path: Path) -> None:
    planted = datasets.write_dataset(tmp_path / "source", users=12, items=20, events=120)
    whole, again = loaded(planted.folder), cut(opened(planted.folder), 31, tmp_path / "cut")
    before = [row for row in planted.rows if row[2] < datetime(2024, 1, 31, tzinfo=UTC).timestamp()]
    assert again.events["item_id"].to_pylist() == [item for _, item, _ in before] and 0 < len(before) < len(
        planted.rows
    )
    names = [name for name in whole.items.column_names if not name.startswith("source_")]
    assert again.items.select(names).equals(whole.items.select(names))


def test_the_end_is_where_several_users_events_end(written: Path) -> None:
    with (written / "events-2.csv").open("a") as file:
        file.write("u5,old,2025-06-01,play\n")  # one clock that is wrong
    assert opened(written).ends < datetime(2024, 1, 7, tzinfo=UTC).timestamp()


def test_an_order_is_no_clock(tmp_path: Path) -> None:
    planted = datasets.write_dataset(tmp_path / "source", users=12, items=20, events=120, clock="order")
    with pytest.raises(UserError, match="source: `timestamp` is a position"):
        opened(planted.folder)
