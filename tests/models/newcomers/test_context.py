"""Columns of context from a data set: few people's labels count as not given, whatever their form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import Dataset, load_dataset, with_profiles
from nightreel.models.newcomers.context import LEAST_USERS, ContextLog
from tests.support.datasets import prepare, write_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = write_dataset(tmp_path_factory.mktemp("source")).folder
    events = pq.read_table(folder / "events.parquet")
    device = pa.array(["TV" if int(user[1:]) % 2 else "phone" for user in events["user_id"].to_pylist()])
    pq.write_table(events.append_column("device", device), folder / "events.parquet")
    rows = ["user_id,country,languages,labels,tier"]
    for n in range(60):
        country = " de" if n < 15 else "DE" if n < 30 else "LI" if n < 30 + LEAST_USERS - 1 else ""
        rows.append(f"u{n:03d},{country},pt_BR|en,{'Rare' if n < 3 else 'Sci-Fi'},{n % 2}")
    (folder / "users.csv").write_text("\n".join(rows))
    run = prepare(tmp_path_factory.mktemp("run"), folder, {"evaluate.slices": ["users.tier"]})
    return with_profiles(load_dataset(run / "data/validate"), run / "data/named")


def test_labels_of_few_users_count_as_not_given(data: Dataset) -> None:
    log = ContextLog.of(data, None)
    assert log.columns["country"].values == ("de",)  # one label in two forms; 19 users of LI are too few
    assert "rare" not in log.columns["labels"].values and log.columns["labels"].values[0] == "sci-fi"
    own = log.columns["country"].of_events(np.arange(len(log.items))).toarray()[:, 0]
    assert own.tolist() == [float(int(data.user_ids[user][1:]) < 30) for user in log.users]


def test_languages_hold_the_more_general_ones_and_genres_may_be_chosen_by_nobody(data: Dataset) -> None:
    columns = ContextLog.of(data, None).columns
    assert set(columns["languages"].values) == {"pt-br", "pt", "en"} and set(columns["tier"].values) == {"0", "1"}
    genres = {genre.casefold() for row in data.items["genres"].to_pylist() for genre in row}
    assert genres <= set(columns["labels"].values)


def test_events_tell_device_hour_and_weekday(data: Dataset) -> None:
    log = ContextLog.of(data, None)
    assert log.columns["device"].values == ("tv", "phone") or log.columns["device"].values == ("phone", "tv")
    for name, wanted in (("hour", lambda t: str(t.hour)), ("weekday", lambda t: f"{t:%A}".lower())):
        column = log.columns[name]
        for event in range(0, len(log.items), 100):
            time = np.datetime64(int(log.times[event]), "s").astype(object)
            assert [column.values[code] for code in column.of_owner(event)] in ([wanted(time)], [])


def test_without_a_table_and_such_columns_nothing_is_tried(data: Dataset) -> None:
    plain = replace(data, profiles=None, events=data.events.drop_columns(["device"]))
    assert ContextLog.of(plain, None).columns == {}
    assert set(ContextLog.of(replace(data, profiles=None), None).columns) == {"device", "hour", "weekday"}
    assert ContextLog.of(replace(data, clock="order"), None).columns == {}
