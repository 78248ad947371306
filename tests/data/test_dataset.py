"""What later stages see of a prepared data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.verdicts import Codes, kind_of
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from tests.support.datasets import Planted, prepare, write_dataset


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return write_dataset(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def folder(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("run"), planted.folder) / "data/validate"


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return load_dataset(folder)


def test_histories_are_the_planted_rows_in_time_order(planted: Planted, dataset: Dataset) -> None:
    histories = dataset.positives(None)
    firsts = {user: stamp for user, _, stamp in sorted(planted.rows, key=lambda row: -row[2])}
    assert dataset.user_ids == sorted(firsts, key=firsts.__getitem__) and dataset.item_ids == planted.item_ids
    assert [dataset.user_ids[user] for user in dataset.users_by_id] == planted.user_ids
    assert [planted.user_ids[row] for row in dataset.bundle_rows] == dataset.user_ids
    assert len(histories) == dataset.n_users == 60 and len(histories.items) == len(planted.rows)
    for number, user in enumerate(dataset.user_ids):
        own = sorted((row for row in planted.rows if row[0] == user), key=lambda row: row[2])
        items, times = histories[number]
        assert [dataset.item_ids[item] for item in items] == [item for _, item, _ in own]
        assert times.tolist() == [float(stamp) for _, _, stamp in own]


def test_parts_of_a_fold_add_up_and_do_not_overlap(dataset: Dataset) -> None:
    assert dataset.protocols == {"leave_last_out": ["leave_last_out"], "global_time": ["global_time"]}
    for fold in ("leave_last_out", "global_time"):
        sizes = [len(dataset.positives(fold, (part,)).items) for part in ("train", "valid", "test")]
        assert (
            sum(sizes)
            == len(dataset.positives(fold, ("train", "valid", "test")).items)
            == len(dataset.positives(None).items)
        )
        assert all(sizes)
    assert (dataset.positives("leave_last_out", ("test",)).lengths == 1).all()
    train, test = dataset.positives("global_time", ("train",)), dataset.positives("global_time", ("test",))
    assert train.times.max() < test.times.min()


def test_seen_negative_and_rated_events_follow_their_parameters(tmp_path: Path) -> None:
    rows = [
        ("u", "a", "like", None),
        ("u", "b", "dislike", None),
        ("u", "c", "impression", None),
        ("u", "c", "watch", 0.4),
        ("u", "d", "watch", 0.5),
        ("u", "e", "rating", 2.5),
        ("u", "f", "play", None),
        ("u", "", "search", None),
    ]
    source = tmp_path / "source"
    source.mkdir()
    lines = [f"{user},{item},{1_704_067_200 + n},{event},{'' if value is None else value}"
             for n, (user, item, event, value) in enumerate(rows)]  # fmt: skip
    (source / "events.csv").write_text("\n".join(["user_id,item_id,timestamp,event,value", *lines]) + "\n")
    (source / "items.csv").write_text("item_id,title\n" + "".join(f"{i},Title {i}\n" for i in "abcdef"))
    half = {"validate.positive.watch": 0.5}
    dataset = load_dataset(prepare(tmp_path / "run", source, half) / "data/validate")

    def ids(items: object) -> str:
        return "".join(dataset.item_ids[item] for item in np.asarray(items).tolist())

    positives = dataset.positives(None)
    assert ids(positives.items) == "adef"
    for known in (positives, positives.take([0]), positives.where(np.ones(4, bool))):
        np.testing.assert_array_equal(np.array(known.values), [np.nan, np.nan, 2.5, np.nan])
    assert ids(dataset.negatives(None).items) == "bc" and positives.negatives is not None
    assert ids(positives.negatives.items) == "bc", "they stand beside the positive ones"
    assert ids(dataset.seen(None).items) == "abcdef"
    user, item, value, time = dataset.ratings(None)
    assert (user.tolist(), ids(item), value.tolist(), time.tolist()) == ([0], "e", [2.5], [1_704_067_205.0])
    assert dataset.events["item"].to_pylist()[-1] == -1


def test_verdicts_are_the_last_ones_and_know_no_later_part(tmp_path: Path) -> None:
    """Item by item: liked; liked, then skipped; disliked, then liked; rated low; watched a little; rated in between."""
    rows = [
        ("a", "play", ""), ("b", "like", ""), ("b", "skip", ""), ("c", "dislike", ""), ("d", "rating", "2"),
        ("e", "watch", "0.2"), ("f", "rating", "3"), ("g", "rating", "4.5"), ("h", "dislike", ""), ("c", "like", ""),
        ("i", "play", ""), ("a", "dislike", ""),
    ]  # fmt: skip
    source = tmp_path / "source"
    source.mkdir()
    lines = [f"u,{item},{1_704_067_200 + 60 * n},{event},{value}" for n, (item, event, value) in enumerate(rows)]
    (source / "events.csv").write_text("\n".join(["user_id,item_id,timestamp,event,value", *lines]) + "\n")
    (source / "items.csv").write_text("item_id,title\n" + "".join(f"{i},Title {i}\n" for i in "abcdefghi"))
    dataset = load_dataset(prepare(tmp_path / "run", source) / "data/validate")

    def said(histories: Histories, codes: Codes | None) -> dict[str, str | None]:
        assert codes is not None
        pairs = zip(histories.items.tolist(), codes.tolist(), strict=True)
        return {dataset.item_ids[item]: kind_of(code) for item, code in pairs}

    whole = dataset.positives(None)
    liked = said(whole, dataset.verdicts(None))
    assert liked == {"a": None, "b": None, "c": "like", "d": None, "f": None, "g": "rating", "i": "play"}
    against = dataset.negatives(None)
    turned_down = {"b": "skip", "c": None, "d": "rating", "e": "watch", "h": "dislike", "a": "dislike"}
    assert said(against, against.verdicts) == turned_down
    disliked = whole.disliked
    assert disliked is not None and {dataset.item_ids[i] for i in disliked.items} == {"a", "d", "h"}
    fold, parts = "leave_last_out", ("train",)  # before the last two positive events, and so before c was liked
    known = dataset.positives(fold, parts)
    assert said(known, dataset.verdicts(fold, parts))["a"] == "play"
    assert known.negatives is not None and said(known.negatives, known.negatives.verdicts)["c"] == "dislike"


def test_an_unknown_fold_is_an_error(dataset: Dataset) -> None:
    with pytest.raises(KeyError, match="fold `weekly` does not exist"):
        dataset.positives("weekly", ("train",))


def test_learning_everywhere_knows_no_test(dataset: Dataset) -> None:
    common = len(dataset.trained_everywhere().items)
    assert 0 < common <= min(len(dataset.positives(fold, ("train",)).items) for fold in dataset.folds)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("items.parquet", lambda t: t.drop_columns(["title"]), r"items.parquet: column `title` is missing"),
        (
            "items.parquet",
            lambda t: t.append_column("more", pa.nulls(t.num_rows)),
            r"column `more` is not part of the table's contract",
        ),
        (
            "events.parquet",
            lambda t: t.set_column(2, "time", t["time"].cast(pa.float32())),
            r"column `time` is float, not double",
        ),
        ("splits.parquet", lambda t: t.slice(1), r"splits.parquet: 1,439 rows for 1,440 events"),
        ("users.parquet", None, r"users.parquet: is damaged or not a Parquet file"),
    ],
)
def test_a_broken_file_is_named(folder: Path, tmp_path: Path, file: str, change: object, message: str) -> None:
    copy = tmp_path / "validate"
    shutil.copytree(folder, copy)
    path = copy / file
    if callable(change):
        pq.write_table(change(pq.read_table(path)), path)
    else:
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=message):
        load_dataset(copy)


def test_missing_outputs_name_the_stage_to_run(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"splits.json: not found. Run the stage that writes it: `dvc repro validate`"):
        load_dataset(tmp_path / "validate")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "splits.json").write_text("{", "utf-8")
    with pytest.raises(UserError, match=r"splits.json: is not JSON"):
        load_dataset(copy)
    assert json.loads((folder / "splits.json").read_text())["gate"] == "leave_last_out"
