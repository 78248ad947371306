"""Drift of whole data sets: what stops, what warns, what can't be measured, and that nothing is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.dataset import Dataset, load_dataset
from nightreel.evaluation.drift.data_drift import Known, drifted, write_drift
from nightreel.evaluation.drift.data_profile import directions_of, projected
from nightreel.evaluation.drift.drift_bounds import ARRIVALS, SNAPSHOT, TRAINING, DriftFigure
from nightreel.evaluation.gate.gate_rules import steady_data
from tests.support.datasets import prepare, write_dataset
from tests.support.settings import settings

DRIFT = settings().evaluate.drift.model_copy(update={"min_values": 60, "independent": 30})
CONFIG = {"embed": {"encoder": "planted", "dim": 8}, "key_fingerprint": "k"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("drift")
    write_dataset(folder / "source", users=100, events=2400, event="rating")
    return load_dataset(prepare(folder / "work", folder / "source") / "data/validate")


@pytest.fixture(scope="module")
def vectors(data: Dataset) -> Any:
    raw = np.eye(2, 8)[np.arange(data.n_items) % 2] + 0.1 * np.random.default_rng(0).normal(size=(data.n_items, 8))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def known(data: Dataset, vectors: Any) -> Known:
    """What a version remembers that was published from these data, but for their last tenth."""
    own = drifted(data, vectors, "nothing was live", CONFIG, DRIFT)
    told = own.profile | {"data_until": float(np.quantile(data.events["time"].to_numpy(), 0.9))}
    ids = frozenset(data.item_ids), frozenset(data.user_ids)
    return Known(told, own.directions, *ids, CONFIG["embed"], "k")  # type: ignore[arg-type]


def compared(
    data: Dataset, vectors: Any, known: Known, config: Mapping[str, Any] = CONFIG
) -> dict[tuple[str, str], DriftFigure]:
    return {(each.against, each.what): each for each in drifted(data, vectors, known, config, DRIFT).changes}


def test_the_same_data_have_not_drifted(data: Dataset, vectors: Any, known: Known) -> None:
    found = compared(data, vectors, known)
    assert {each.state for key, each in found.items() if key[0] == SNAPSHOT} == {"steady"}
    assert found[SNAPSHOT, "value of rating"].figure == found[SNAPSHOT, "new items"].figure == 0
    assert {each.what for each in found.values() if each.against == ARRIVALS} >= {"event", "hour of the day"}
    assert {each.stop for each in found.values() if each.against == TRAINING} == {None}
    rule = steady_data(list(found.values()))
    assert (rule.state, rule.point) == ("passed", 0)


def test_a_published_profile_names_no_label_of_a_few(data: Dataset, vectors: Any) -> None:
    """The number of a device is a person's; it counts among the others, in the next comparison, too."""
    users = data.events["user"].to_numpy()
    device = [("phone", "tv", f"device-{user}", "tablet" if user < 19 else "tv")[user % 4] for user in users]
    told = replace(data, events=data.events.append_column("device", pa.array(device)))
    own = drifted(told, vectors, "nothing was live", CONFIG, DRIFT)
    spread = own.profile["spreads"]["device"]
    assert sorted(spread["marks"]) == ["phone", "tv"]
    assert sum(spread["counts"]) == len(users) and spread["counts"][-1] > 0
    known = Known(own.profile, own.directions, frozenset(told.item_ids), frozenset(told.user_ids), CONFIG["embed"], "k")  # type: ignore[arg-type]
    assert compared(told, vectors, known)[SNAPSHOT, "device"].state == "steady"


def test_ratings_that_are_all_the_same_stop(data: Dataset, vectors: Any, known: Known) -> None:
    column = data.events.column_names.index("value")
    fives = data.events.set_column(column, "value", pa.array(np.full(data.events.num_rows, 5, np.float32)))
    found = compared(replace(data, events=fives), vectors, known)
    for place in (SNAPSHOT, ARRIVALS):
        assert found[place, "value of rating"].state == "stop"
    assert found[SNAPSHOT, "value of rating (KS)"].figure == 1
    rule = steady_data(list(found.values()))
    assert rule.state == "failed"
    assert "value of rating: PSI" in rule.text and "(stop at 0.25)" in rule.text


def test_a_column_that_is_gone_and_rows_that_are_gone(data: Dataset, vectors: Any, known: Known) -> None:
    half = replace(
        data,
        items=data.items.drop_columns(["description"]),
        events=data.events.slice(0, data.events.num_rows // 2),
        folds={name: fold[: data.events.num_rows // 2] for name, fold in data.folds.items()},
    )
    found = compared(half, vectors, known)
    gone, rows = found[SNAPSHOT, "items.description filled"], found[SNAPSHOT, "fewer rows of events"]
    assert (gone.state, gone.figure) == ("stop", 1) and "the column was removed" in gone.text
    assert (rows.state, rows.figure) == ("stop", pytest.approx(0.5, abs=0.001)) and "(-50.0%)" in rows.text


def test_newcomers_and_another_key(data: Dataset, vectors: Any, known: Known) -> None:
    few = replace(known, item_ids=frozenset(data.item_ids[:60]), user_ids=frozenset(data.user_ids[:20]))
    found = compared(data, vectors, few)
    assert (found[SNAPSHOT, "new items"].figure, found[SNAPSHOT, "new items"].state) == (0.25, "warning")
    assert (found[SNAPSHOT, "new users"].figure, found[SNAPSHOT, "new users"].state) == (0.8, "warning")
    other = compared(data, vectors, few, CONFIG | {"key_fingerprint": "another"})
    assert other[SNAPSHOT, "new users"].state == "not measured"


def test_content_that_moved_and_content_of_another_encoder(data: Dataset, vectors: Any, known: Known) -> None:
    along = [key for key in compared(data, vectors, known) if key[1].startswith("content: direction 1, taken")]
    assert {key[0] for key in along} == {SNAPSHOT, ARRIVALS, TRAINING}
    moved = np.repeat(vectors[:1], data.n_items, axis=0)
    assert compared(data, moved, known)[SNAPSHOT, "content: direction 1, taken"].state == "stop"
    other = compared(data, vectors, known, CONFIG | {"embed": {"encoder": "another", "dim": 8}})
    assert other[SNAPSHOT, "content"].state == "not measured"
    assert not [key for key in other if key[0] == SNAPSHOT and key[1].startswith("content: ")]


def test_few_arrivals_and_no_champion_say_so(data: Dataset, vectors: Any, known: Known) -> None:
    latest = float(data.events["time"].to_numpy().max())
    late = replace(known, profile=dict(known.profile) | {"data_until": latest})
    assert "0 new events" in compared(data, vectors, late)[ARRIVALS, "everything"].text
    changes = drifted(data, vectors, "no version was live before", CONFIG, DRIFT).changes
    rule = steady_data(changes)
    assert (rule.state, rule.text) == ("not measured", "drift is not measured: no version was live before")


def test_directions_have_a_sign_and_items_without_content_no_place(vectors: Any) -> None:
    found = directions_of(vectors)
    assert found.shape == (4, 8)
    first = found[1]
    assert first[np.abs(first).argmax()] > 0
    np.testing.assert_allclose(found[1:] @ found[1:].T, np.eye(3), atol=1e-6)
    places = projected(np.vstack([vectors, np.zeros((1, 8), np.float32)]), found)
    assert all(np.isnan(each[-1]) and not np.isnan(each[:-1]).any() for each in places.values())
    assert not directions_of(np.zeros((5, 8), np.float32)).any()


def test_its_files_are_the_same_each_time(data: Dataset, vectors: Any, known: Known, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_drift(tmp_path / name, drifted(data, vectors, known, CONFIG, DRIFT), {})
    files = [sorted((path.name, path.read_bytes()) for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert files[0] == files[1] and [name for name, _ in files[0]] == ["directions.npy", "drift.json", "profile.json"]


def moved_hours(data: Dataset, rows: Any) -> Dataset:
    """The data with some events [rows] all at three o'clock of their day."""
    at = data.events.column_names.index("time")
    times = data.events["time"].to_numpy().copy()
    times[rows] = np.floor(times[rows] / 86_400) * 86_400 + 3 * 3600
    return replace(data, events=data.events.set_column(at, "time", pa.array(times)))


def test_the_hours_of_a_few_users_hold_no_night_and_everybodys_do(data: Dataset, vectors: Any, known: Known) -> None:
    new = np.flatnonzero(data.events["time"].to_numpy() > known.profile["data_until"] + 86_400)
    everybody = compared(moved_hours(data, new), vectors, known)[ARRIVALS, "hour of the day"]
    assert everybody.state == "stop" and "99% lower limit" in everybody.text
    least = DRIFT.model_copy(update={"independent": 1000})
    changes = drifted(moved_hours(data, new), vectors, known, CONFIG, least).changes
    few = next(each for each in changes if (each.against, each.what) == (ARRIVALS, "hour of the day"))
    assert few.state == "warning" and few.figure == everybody.figure
    assert "values, fewer than 1,000" in few.text
    rule = steady_data([few])
    assert rule.state == "passed" and "1 with a warning: hour of the day" in rule.text


def test_the_hours_of_a_part_of_a_day_are_not_measured(data: Dataset, vectors: Any, known: Known) -> None:
    last = float(np.sort(data.events["time"].to_numpy())[-70])
    assert data.data_until - last < 4 * 86_400
    times = data.events["time"].to_numpy().copy()
    late = times > last
    times[late] = data.data_until - np.linspace(0, 40_000, int(late.sum()))
    events = data.events.set_column(data.events.column_names.index("time"), "time", pa.array(times))
    told = replace(known, profile=dict(known.profile) | {"data_until": data.data_until - 43_000})
    found = compared(replace(data, events=events), vectors, told)
    assert found[ARRIVALS, "hour of the day"].state == "not measured"
