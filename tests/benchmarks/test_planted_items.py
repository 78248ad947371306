"""The planted new items: made-up worlds that differ from their series in one column alone, and whom they fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.quality.worlds import made_up, planted
from benchmarks.quality.worlds.chinese import chinese
from benchmarks.quality.worlds.made_up import World
from benchmarks.quality.worlds.music import music


@pytest.mark.parametrize("made", [music, chinese])
def test_a_world_is_large_and_names_a_new_item_in_one_column(made: Callable[[], World]) -> None:
    world = made()
    assert len(world.rows) >= 2_000 and len(world.new) == planted.PLANTED
    assert made().rows == world.rows, "the same every time"
    for number, (row, told) in world.new.items():
        own = [world.rows[at] for at in np.flatnonzero(world.series == number)]
        assert len(own) >= planted.LEAST_ITEMS
        name = world.names[number]
        # A plot tells by the hero and the place, which every plot of the series begins with.
        clue = own[0]["description"].split("在")[0] if made is chinese and told == "description" else name
        telling = [column for column in ("title", "creators", "description") if clue in str(row.get(column))]
        assert telling == [told]
        others = [each for at, each in enumerate(world.rows) if world.series[at] != number]
        assert not any(name in str(each) for each in others), "the name is its own"


def test_planting_leaves_new_items_without_events_and_fans_with_their_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_up, "USERS", 12)
    monkeypatch.setattr(planted, "REMOVED", 700)
    world = music()
    made_up.plant(world, tmp_path / "data")
    items, log = (pq.read_table(tmp_path / "data" / f"{name}.parquet") for name in ("items", "events"))
    many, used = planted.read(tmp_path), set(log["item_id"].to_pylist())
    assert items.num_rows == len(world.rows) + planted.PLANTED and len(many) == planted.PLANTED
    assert not used & {each.item for each in many}
    series = {row["item_id"]: number for row, number in zip(world.rows, world.series.tolist(), strict=True)}
    for each in many:
        for fan in each.fans:
            own = [item for item in fan if world.names[series[item]] == each.name]
            assert len(own) in {3, 4, 5} and len(fan) == len(own) + 2
    stamps = log["timestamp"].to_numpy()
    assert (stamps.max() - stamps.min()) > 40 * made_up.DAY
