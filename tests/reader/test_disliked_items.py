"""What a user disliked in the log stays away on every door, also where seen items may come back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nightreel import Reader, RequestOptions
from nightreel.bundle.format import BundleError
from nightreel.data.contract.verdicts import LOW
from nightreel.models.ranker.aversion import COLUMNS
from nightreel.models.ranker.blend import WEIGHTED, Blend
from nightreel.reader.precompute import precompute
from nightreel.store.withdrawals_file import Withdrawals
from tests.support.bundles import reseal
from tests.support.rated_bundle import Rated, write_rated

USERS = [f"u{n:03d}" for n in range(60)]


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Rated:
    return write_rated(tmp_path_factory.mktemp("rated"))


@pytest.fixture(scope="module", params=["computed", "stored"])
def reader(rated: Rated, request: pytest.FixtureRequest) -> Reader:
    if request.param == "stored":
        precompute(rated.folder, Reader.open_bundle(rated.folder))
    return Reader.open_bundle(rated.folder)


def disliked(rated: Rated, user: str) -> set[str]:
    """What a user rated low or disliked last."""
    return {item for (who, item), value in rated.said.items() if who == user and value <= LOW}


def test_what_was_disliked_is_in_no_list(rated: Rated, reader: Reader) -> None:
    histories = reader.histories.take(np.arange(len(USERS)))
    many = reader.recommend_many(histories, k=60).items
    table = reader.recommend_users(USERS, 60, exclude_seen=False).to_pylist()
    again = 0
    for row, user in enumerate(USERS):
        never = disliked(rated, user)
        rest = {item for who, item in rated.said if who == user} - never
        doors = [
            {each.item_id for each in reader.recommend(user, k=60, exclude_seen=False)},
            {each.item_id for each in reader.recommend(user, k=60)},
            {each.item_id for each in reader.recommend(user, k=20, options=RequestOptions(diversity=0.5))},
            {reader.items.ids[item] for item in many[row] if item >= 0},
            {each["item_id"] for each in table if each["user_id"] == user},
        ]
        assert never and not any(door & never for door in doors)
        again += len(rest & doors[0])
    assert again > 100, "what was seen and not disliked may come back"


def test_an_explanation_says_that_it_was_disliked(rated: Rated, reader: Reader) -> None:
    user = USERS[3]
    item = min(disliked(rated, user))
    found = reader.explain(item, user, exclude_seen=False)
    assert found.left_out == "disliked" and found.rank is not None, "with the place that it would have"
    assert reader.explain(item, user).left_out == "seen"
    skipped = RequestOptions(skipped=("i001",))
    assert reader.explain("i001", "nobody", options=skipped).left_out == "disliked"


def test_explanations_agree_with_lists_that_dislikes_have_moved(reader: Reader) -> None:
    ranker = Blend(WEIGHTED, ("ease.relative", "popular.0", *COLUMNS), "", (2.0, 1.0, -2.0, -0.5, -1.0, 0.0))
    learned = replace(reader, engine=replace(reader.engine, blend=ranker), stored=replace(reader.stored, lists=None))
    moved = 0
    for user in USERS[:12]:
        listed = learned.recommend(user, k=6, exclude_seen=False, reasons=True)
        told = [learned.explain(each.item_id, user, exclude_seen=False) for each in listed]
        assert [each.rank for each in told] == [1, 2, 3, 4, 5, 6]
        assert [each.score for each in told] == pytest.approx([each.score for each in listed])
        assert [each.reasons for each in told] == [each.reasons for each in listed]
        moved += listed != reader.recommend(user, k=6, exclude_seen=False, reasons=True)
    assert moved > 6


def test_scores_are_given_of_what_was_disliked_too(rated: Rated, reader: Reader) -> None:
    row = reader.histories.take([3])
    items = [reader.items.require(item) for item in sorted(disliked(rated, USERS[3]))]
    assert np.isfinite(reader.score(row, items)).all()


def test_of_an_erased_user_nothing_negative_is_left(reader: Reader) -> None:
    gone = reader.under(Withdrawals(erased=("u003",)))
    against = gone.histories.negatives
    assert against is not None and against.lengths[3] == 0 and against.lengths[5] > 0
    assert reader.histories.negatives is not None and reader.histories.negatives.lengths[3] > 0


def test_negatives_that_do_not_fit_are_refused_by_name(rated: Rated, tmp_path: Path) -> None:
    for name, wrong in (
        ("negatives/verdicts", np.zeros(3, np.int8)), ("histories/verdicts", np.full(1200, 40, np.int8)),
        ("negatives/items", np.full(5, 10_000, np.int32)), ("engine/statistics/negatives.table", np.zeros((2, 3), np.float32)),
    ):  # fmt: skip
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(rated.folder, folder)
        np.save(folder / f"{name}.npy", wrong)
        reseal(folder)
        with pytest.raises(BundleError, match=name.rpartition("/")[2].replace(".", r"\.")):
            Reader.open_bundle(folder)
