"""A sample of the faults of `python -m benchmarks.faults`, by the same code, against the same real S3 server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.faults import damage, kills, races, rolling_back, weather, withdrawing, world
from benchmarks.faults.world import Row, World
from benchmarks.speed.free_ports import free_ports
from nightreel.store.backends.seaweedfs import ObjectStore

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("faults")
    server = ObjectStore(root / "object-store", free_ports())
    environment = server.start()
    yield world.build(root, environment)
    server.stop()


def unmet(rows: list[Row]) -> list[Row]:
    assert rows
    return [row for row in rows if not row.met]


def test_ten_kills_tear_mix_and_stop_nothing(made: World) -> None:
    rows = kills.campaign(made, 10)
    assert rows[0].counted == "10" and not unmet(rows)


def test_of_eight_racing_publishers_one_wins_each_round(made: World) -> None:
    rows = races.campaign(made, 3)
    assert rows[1].counted == "3" and not unmet(rows)


def test_damaged_files_are_refused_and_the_last_good_version_goes_on(made: World) -> None:
    rows = damage.campaign(made, 5)
    assert rows[2].counted == "10" and not unmet(rows)


@pytest.mark.parametrize("kind", ["down", "breaking off", "403", "another server", "clock 3 hours off"])
def test_bad_weather_is_clear_to_publishers_and_no_matter_to_readers(made: World, kind: str) -> None:
    assert not unmet(weather.campaign(made, 2, [kind]))


def test_a_rollback_takes_the_same_calls_however_much_is_kept(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling_back, "MANY", 8)
    assert not unmet(rolling_back.campaign(made))


def test_what_is_withdrawn_at_the_worst_moment_shows_on_no_door(made: World) -> None:
    assert not unmet(withdrawing.campaign(made, 1))


def test_the_campaign_notices_a_torn_version(made: World) -> None:
    with world.entered(made.environment, made.root / "state"):
        store = kills.S3Store(made.uri("noticed"))
        digest = world.send(store, made.bundle(9000)).digest
        assert kills.whole(store, digest, made.root / "looked-at")
        store.put(f"versions/{digest}/vectors.npy", b"half")
        assert not kills.whole(store, digest, made.root / "looked-at")
