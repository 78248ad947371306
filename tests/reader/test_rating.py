"""Predicted ratings of a bundle, asked through the Reader; chosen, rehearsed and evaluated on planted ratings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel import Reader, UserError
from nightreel.bundle.assembly import refit, rehearse
from nightreel.bundle.format import BundleError
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.evaluation.rating_error import rating_errors
from nightreel.models.engine import Engine
from nightreel.models.training.going_on.earlier_selection import EarlierSelection
from nightreel.models.training.model_selection import Learned
from nightreel.models.training.ranker_selection import ScoreBoard
from nightreel.models.training.rating_selection import with_ratings
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_examples import nothing
from nightreel.settings.finetune import Ratings
from tests.support.bundles import reseal, write_bundle
from tests.support.datasets import prepare, write_dataset
from tests.support.small_bundle import POPULAR

NOTHING_KEPT = EarlierSelection(0, {}, "", True, 0, ())

CONFIG = {"key_fingerprint": None, "pseudonymised": False}
SETTINGS = Ratings(bias=(1.0,), factors=(4,), regularization=(5.0,), iterations=4)
LOVED, HATED = 5.0, 2.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Everybody gives their own group's items five stars and the others two."""
    root = tmp_path_factory.mktemp("rated")
    planted = write_dataset(root / "source", users=120, items=40, events=2400, noise=0.5, event="rating")
    events = pq.read_table(planted.folder / "events.parquet")
    pairs = zip(events["user_id"].to_pylist(), events["item_id"].to_pylist(), strict=True)
    values = [LOVED if planted.user_group[u] == planted.item_group[i] else HATED for u, i in pairs]
    column = events.column_names.index("value")
    pq.write_table(events.set_column(column, "value", pa.array(values)), planted.folder / "events.parquet")
    return load_dataset(prepare(root / "work", planted.folder) / "data/validate")


@pytest.fixture(scope="module")
def choices(data: Dataset) -> SelectedParams:
    """With the rating head that validation chose."""
    engine: Engine = None  # type: ignore[assignment]
    return with_ratings(
        Learned(POPULAR, {}, [], [], engine, engine, nothing(), ScoreBoard().steps_of(""), NOTHING_KEPT),
        data,
        "leave_last_out",
        SETTINGS,
    ).choices


@pytest.fixture(scope="module")
def folder(data: Dataset, choices: SelectedParams, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundle") / "bundle"
    rehearse(data, "leave_last_out", choices, np.zeros((data.n_items, 2), np.float32), CONFIG, made)
    return made


@pytest.fixture(scope="module")
def reader(folder: Path) -> Reader:
    return Reader.open_bundle(folder)


def test_validation_chose_factors_and_they_predict_the_test_better(
    data: Dataset, choices: SelectedParams, reader: Reader
) -> None:
    assert choices.ratings["factors"] == 4
    found = rating_errors(data, [("leave_last_out", reader.ratings)], 200, 0)
    assert found["users"] == found["ratings"] == 120
    error = {model: each["rmse"]["point"] for model, each in found["models"].items()}
    assert error["ratings"] < 0.7 * error["biases"] and found["against"]["high"] < 0


def test_a_user_rates_the_own_group_higher(data: Dataset, reader: Reader) -> None:
    own, other = reader.rate(["i004", "i005"], "u002")
    assert own > 4.4 and other < 2.8
    assert reader.rate(["i005", "i004"], "u003")[0] > 4.4
    assert reader.rate([], "u002") == []


def test_the_unknown_are_predicted_from_the_items_and_from_what_they_say(reader: Reader) -> None:
    items = ["i004", "i005"]
    nobody = reader.rate(items)
    assert nobody == reader.rate(items, "nobody") == reader.rate(items, ratings={})
    given = {f"i{n:03d}": HATED if n % 2 else LOVED for n in range(8, 20)}
    own, other = reader.rate(items, ratings=given)
    assert own > nobody[0] and other < nobody[1]


def test_bad_questions_are_named(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'i999': no item"):
        reader.rate(["i999"], "u002")
    with pytest.raises(UserError, match="'i999': no item"):
        reader.rate(["i004"], ratings={"i999": 3.0})
    with pytest.raises(UserError, match="a user or ratings, not both"):
        reader.rate(["i004"], "u002", ratings={})
    write_bundle(tmp_path / "plain")
    with pytest.raises(UserError, match="trained without ratings"):
        Reader.open_bundle(tmp_path / "plain").rate(["i004"])


def test_a_head_that_lacks_a_part_is_refused(
    folder: Path, tmp_path: Path, data: Dataset, choices: SelectedParams
) -> None:
    broken = tmp_path / "bundle"
    digest = rehearse(data, "leave_last_out", choices, np.zeros((data.n_items, 2), np.float32), CONFIG, broken)
    assert digest == Reader.open_bundle(folder).digest, "the same ratings give the same bytes"
    (broken / "ratings/item_bias.npy").unlink()
    with pytest.raises(BundleError, match=r"item_bias\.npy"):
        Reader.open_bundle(broken)
    reseal(broken)
    with pytest.raises(UserError, match=r"ratings/item_bias\.npy"):
        Reader.open_bundle(broken)


def test_the_final_bundle_learns_from_every_rating(data: Dataset, choices: SelectedParams, tmp_path: Path) -> None:
    refit(data, choices, np.zeros((data.n_items, 2), np.float32), CONFIG, tmp_path / "final")
    head = Reader.open_bundle(tmp_path / "final").ratings
    assert head is not None
    assert head.scale[0] == pytest.approx(float(np.mean(data.ratings(None)[2])))


def test_ratings_that_are_all_alike_or_missing_give_no_head(tmp_path: Path) -> None:
    engine: Engine = None  # type: ignore[assignment]
    for event in ("rating", "play"):
        source = write_dataset(tmp_path / event, users=60, events=1200, event=event)
        told = load_dataset(prepare(tmp_path / f"{event} work", source.folder) / "data/validate")
        learned = with_ratings(
            Learned(POPULAR, {}, [], [], engine, engine, nothing(), ScoreBoard().steps_of(""), NOTHING_KEPT),
            told,
            "leave_last_out",
            SETTINGS,
        )
        assert learned.choices == POPULAR and learned.ratings == []
