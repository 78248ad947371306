"""What is delivered on each night of a script: damage passes, what is withdrawn stays withdrawn."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.sources import open_source
from nightreel.errors import UserError
from nightreel.replay import source_log
from nightreel.replay.source_log import SourceLog
from nightreel.replay.troubles import delivery
from nightreel.replay.troubles.delivery import Delivery
from nightreel.replay.troubles.script import Script
from tests.support import datasets

NIGHTS = tuple(datetime(2024, 2, day, tzinfo=UTC).timestamp() for day in (1, 8, 15, 22))
SECOND = "events/0000-night-0002.parquet"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SourceLog:
    planted = datasets.write_dataset(tmp_path_factory.mktemp("log"), users=40, items=40, events=800)
    source = open_source(str(planted.folder), planted.folder, no_remote)
    return source_log.read(source, clock="time", slices=(), key=None)


def no_remote(uri: str) -> Any:
    raise AssertionError(uri)


def delivered(log: SourceLog, number: int, **trouble: Any) -> Delivery:
    script = Script.model_validate({"nights": [{"night": 2, "troubles": [trouble]}]})
    return delivery.deliver(log, NIGHTS, number, script)


def column(made: Delivery, table: str, name: str) -> list[Any]:
    return [cell for path, each in made.tables.items() if path.startswith(table) for cell in each[name].to_pylist()]


def test_events_come_in_a_file_for_each_step(log: SourceLog) -> None:
    made = delivered(log, 4, kind="no night")
    files = [path for path in made.tables if path.startswith("events")]
    assert files == ["events/0000.parquet", *(f"events/0000-night-{n:04d}.parquet" for n in (2, 3, 4))]
    plain = delivery.deliver(log, NIGHTS, 4, None)
    assert sorted(column(made, "events", "timestamp")) == sorted(column(plain, "events", "timestamp"))
    for number, path in enumerate(files):
        times = [at.timestamp() for at in made.tables[path]["timestamp"].to_pylist()]
        assert times and max(times) < NIGHTS[number] and (number == 0 or min(times) >= NIGHTS[number - 1])


@pytest.mark.parametrize("kind", ["corrupt day", "late day"])
def test_damage_of_a_day_passes(log: SourceLog, tmp_path: Path, kind: str) -> None:
    whole, hurt = delivered(log, 2, kind="no night"), delivered(log, 2, kind=kind)
    assert hurt.rows("events") == whole.rows("events") - whole.tables[SECOND].num_rows
    hurt.write(tmp_path / "hurt", "ours")
    files = open_source(str(tmp_path / "hurt"), tmp_path, no_remote).files
    if kind == "corrupt day":
        with pytest.raises(UserError, match="night-0002"):
            [read_raw(file) for file in files]
    else:
        assert SECOND not in [file.name for file in files]
    third = delivered(log, 3, kind=kind)
    assert not third.damaged and third.rows("events") == delivered(log, 3, kind="no night").rows("events")
    assert not delivered(log, 1, kind=kind).damaged, "nor does it come before"


def test_the_most_played_items_stay_down(log: SourceLog) -> None:
    before = delivery.deliver(log, NIGHTS, 2, None)
    counts = Counter(column(before, "events", "item_id"))
    for number in (2, 4):
        made = delivered(log, number, kind="takedown", items=3)
        items = pa.concat_tables([each for path, each in made.tables.items() if path.startswith("items")])
        down = set(items.filter(items["blocked"])["item_id"].to_pylist())
        assert down == set(made.blocked) and len(down) == 3
        assert min(counts[item] for item in down) >= max(counts[item] for item in counts if item not in down)
    assert not delivered(log, 1, kind="takedown").blocked


@pytest.mark.parametrize("flags", [pa.array([0, 1]), pa.array([False, True]), pa.nulls(2), pa.array(["no", "yes"])])
def test_a_flag_is_set_in_the_form_that_the_file_has(flags: pa.Array) -> None:
    items = pa.table({"item_id": ["one", "two"], "blocked": flags})
    before, found = flags.to_pylist(), delivery._blocked(items, ["one"])["blocked"]
    assert found.type == (pa.bool_() if pa.types.is_null(flags.type) else flags.type)
    assert found.to_pylist() == [{int: 1, str: "true"}.get(type(before[1]), True), before[1]]


def test_the_erased_ask_and_do_not_come_again(log: SourceLog) -> None:
    made = delivered(log, 4, kind="erasure", users=4)
    assert set(column(made, "erasures", "user_id")) == set(made.erased) and len(made.erased) == 4
    assert {at.timestamp() for at in column(made, "erasures", "requested_at")} == {NIGHTS[1]}
    assert set(made.tables[SECOND]["user_id"].to_pylist()) & set(made.erased), "their past is delivered, to be erased"
    for number in (3, 4):
        assert not set(made.tables[f"events/0000-night-{number:04d}.parquet"]["user_id"].to_pylist()) & set(made.erased)


def test_rows_are_added_for_good(log: SourceLog) -> None:
    day = delivered(log, 2, kind="no night").tables[SECOND].num_rows
    for number in (2, 4):
        plain = delivered(log, number, kind="no night")
        twice, bot = delivered(log, number, kind="delivery twice"), delivered(log, number, kind="bot", items=2)
        assert twice.rows("events") == bot.rows("events") == plain.rows("events") + day
        own = bot.tables[SECOND].filter(pc.equal(bot.tables[SECOND]["user_id"], "bot-2"))
        assert own.num_rows == day and len(own["item_id"].unique()) == 2
        assert bot.tables[SECOND].schema == plain.tables[SECOND].schema


def test_the_catalogue_doubles_and_columns_change_for_a_night(log: SourceLog) -> None:
    n = delivered(log, 2, kind="no night").rows("items")
    doubled = column(delivered(log, 2, kind="doubled catalogue"), "items", "item_id")
    assert len(set(doubled)) == len(doubled) == 2 * n
    assert delivered(log, 3, kind="doubled catalogue").rows("items") < 2 * n
    renamed = delivered(log, 2, kind="schema change", column="timestamp", to="when")
    assert "when" in renamed.tables[SECOND].column_names and "timestamp" not in renamed.tables[SECOND].column_names
    gone = delivered(log, 2, kind="schema change", table="items", column="title")
    assert "title" not in gone.tables["items/0001.parquet"].column_names


def test_cells_that_are_bytes_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n1,One\n2,Two\n")
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,timestamp,event\n"
        + "".join(f"u{n},{1 + n % 3 // 2},2024-02-0{n % 9 + 1}T10:00:00Z,play\n" for n in range(30))
    )
    source = open_source(str(tmp_path), tmp_path, no_remote)
    log = source_log.read(source, clock="time", slices=(), key=None)
    nights = tuple(datetime(2024, 2, day, tzinfo=UTC).timestamp() for day in (4, 6))
    for kind in ("takedown", "erasure", "bot", "doubled catalogue"):
        script = Script.model_validate({"nights": [{"night": 2, "troubles": [{"kind": kind}]}]})
        delivery.deliver(log, nights, 2, script).write(tmp_path / "cut", "ours")
        files = open_source(str(tmp_path / "cut"), tmp_path, no_remote).files
        assert {file.table for file in files} >= {"items", "events"}
        assert [pq.read_table(file.path).num_rows for file in files]
