"""What every recommender behind the protocol must do, on data with a planted taste."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Recommender
from nightreel.models.baselines.popularity import PopularityConfig
from nightreel.models.config import ModelConfig
from nightreel.models.engine import mapped, top_k_lists, unseen
from nightreel.models.registry import models
from tests.models.neural.tiny_checkpoint import backbone
from tests.support.settings import settings

USERS, ITEMS = 80, 60
SMALL: dict[str, dict[str, float]] = {
    "popularity_by_genre": {"buckets": 8},
    "ials": {"factors": 32},
    "vae": {"hidden": 256, "latent": 64, "epochs": 40, "batch": 64, "learning_rate": 0.003, "decay": 10},
    "recurrent": {"horizon": 10, "epochs": 12, "least_steps": 200, "batch": 16, "learning_rate": 0.005},
}
"""Values other than the defaults, where the data of these tests are too small for those."""
GRIDS = settings().finetune.members
CONFIGS = {
    name: found.grid(GRIDS[name])[0] if name in GRIDS else found.config.model_validate(SMALL.get(name, {}))
    for name, found in models().items()
}


def briefly(name: str) -> ModelConfig:
    """The model's settings with few steps of training: enough where not what is learnt is asked, but whether it is the
    same."""
    few = {"epochs": 1, "least_steps": 5, "iterations": 5}
    return CONFIGS[name].model_copy(update={n: v for n, v in few.items() if n in type(CONFIGS[name]).model_fields})


MODELS: dict[str, type[Recommender]] = {name: found.cls for name, found in models().items()}
MODELS["transformer, pretrained"] = MODELS["transformer"]
CONFIGS["transformer, pretrained"] = CONFIGS["transformer"].model_copy(update={"epochs": 2.0, "backbone": backbone()})
COUNTING = (
    "popularity",
    "popularity_by_genre",
)  # as of the moment: there was nothing to count at that of a toy history
PERSONAL = [name for name in MODELS if name not in COUNTING]
Fit = Callable[[str, Histories], Recommender]


@pytest.fixture(scope="module")
def planted() -> Histories:
    """Users of two tastes: even users take even items, each walking its own ring in order."""
    rng = np.random.default_rng(7)
    rows = []
    for user in range(USERS):
        start, steps = rng.integers(0, ITEMS // 2), 12
        ring = (start + np.arange(steps)) % (ITEMS // 2)
        rows.append((2 * ring + user % 2, 1e9 + 86_400.0 * (user + np.arange(steps))))
    return Histories.from_rows([(items.tolist(), times.tolist()) for items, times in rows])


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Vectors near one of two directions, by taste."""
    rng = np.random.default_rng(8)
    side = np.eye(2, 16)[np.arange(ITEMS) % 2]
    vectors = side + 0.1 * rng.normal(size=(ITEMS, 16))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Catalogue(unit, np.eye(2, dtype=np.float32)[np.arange(ITEMS) % 2], np.full(ITEMS, 2000.0, np.float32))


@pytest.fixture(scope="module")
def fit(catalogue: Catalogue) -> Fit:
    """A member of the given name with params.yaml's first setting; one that was fitted on the same data is kept."""
    fitted: dict[tuple[str, int], tuple[Histories, Recommender]] = {}

    def once(name: str, train: Histories) -> Recommender:
        key = name, id(train)
        if key not in fitted:  # the histories are kept too, so that no other gets their id
            fitted[key] = train, MODELS[name].fit(train, catalogue, CONFIGS[name], clock=True)
        return fitted[key][1]

    return once


def asked(histories: Histories) -> npt.NDArray[np.float64]:
    return np.nan_to_num(histories.last_times, nan=2e9) + 1.0


@pytest.mark.parametrize("name", PERSONAL)
def test_recovers_a_planted_taste(name: str, planted: Histories, fit: Fit) -> None:
    member = fit(name, planted)
    short = Histories.from_rows([([0, 2, 4], [1.0, 2.0, 3.0]), ([1, 3, 5], [1.0, 2.0, 3.0])])
    lists, _ = top_k_lists(unseen(np.array(member.score(short, asked(short))), short, None), 10)
    for taste in (0, 1):
        assert (lists[taste, :5] % 2 == taste).all()
        assert (lists[taste] % 2 == taste).mean() >= 0.8


def test_the_sequence_model_knows_what_comes_next(planted: Histories, fit: Fit) -> None:
    member = fit("slist", planted)
    walked = Histories.from_rows([([10, 12, 14], [1.0, 2.0, 3.0])])
    lists, _ = top_k_lists(unseen(np.array(member.score(walked, asked(walked))), walked, None), 3)
    assert 16 in lists[0].tolist()


def test_popularity_forgets(catalogue: Catalogue) -> None:
    old, new = ([1] * 10, [0.0] * 10), ([2] * 4, [86_400.0 * 70] * 4)
    train = Histories.from_rows([old, new])
    member = MODELS["popularity"].fit(train, catalogue, PopularityConfig(half_life_days=7, buckets=4), clock=True)
    empty = Histories.from_rows([([], [])])
    early = member.score(empty, np.array([86_400.0]))[0]
    late = member.score(empty, np.array([86_400.0 * 71]))[0]
    assert early[1] == pytest.approx(10.0) and early[2] == 0.0
    assert late[2] == pytest.approx(4.0) and late[1] == pytest.approx(10 * 0.5**10)


def test_popularity_by_genre_asks_for_the_histories_genres(planted: Histories, catalogue: Catalogue, fit: Fit) -> None:
    member = fit("popularity_by_genre", planted)
    asking = Histories.from_rows([([], []), ([0, 2], [1.0, 2.0]), ([0, 1], [1.0, 1.0])])
    counted = MODELS["popularity"].fit(planted, catalogue, CONFIGS["popularity_by_genre"], clock=True)
    late = np.full(3, 2e9)
    everything, even, both = member.score(asking, late)
    counts = counted.score(asking, late)[0]
    np.testing.assert_array_equal(everything, counts)
    np.testing.assert_allclose(even, np.where(np.arange(ITEMS) % 2 == 0, counts, 0), rtol=1e-6)
    assert (both[counts > 0] > 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_it_answers_the_same(
    name: str, planted: Histories, fit: Fit, catalogue: Catalogue, tmp_path: object
) -> None:
    member = fit(name, planted)
    folder = tmp_path / name  # type: ignore[operator]
    folder.mkdir()
    for array, values in member.arrays().items():
        np.save(folder / f"{array}.npy", values, allow_pickle=False)
    again = MODELS[name].load(mapped(folder), catalogue)
    np.testing.assert_array_equal(again.score(planted, asked(planted)), member.score(planted, asked(planted)))


@pytest.mark.parametrize("name", MODELS)
def test_fitted_twice_it_is_the_same(name: str, planted: Histories, catalogue: Catalogue) -> None:
    first, second = (MODELS[name].fit(planted, catalogue, briefly(name), clock=True).arrays() for _ in range(2))
    assert first.keys() == second.keys()
    for array in first:
        np.testing.assert_array_equal(first[array], second[array])


@pytest.mark.parametrize("name", MODELS)
def test_with_more_threads_it_is_the_same(name: str) -> None:
    """Closed forms of a catalogue that is large enough for linear algebra to use them, networks of a small one. What
    differs in the last bit grows in the rankers that learn from it."""
    import torch

    config = briefly(name)
    network = hasattr(config, "epochs")
    rng, items = np.random.default_rng(3), 100 if network else 500
    starts = rng.integers(0, items, items // 3)
    rows = [((start + rng.permutation(20)) % items).tolist() for start in starts]
    train = Histories.from_rows([(row, np.arange(1e9, 1e9 + 20).tolist()) for row in rows])
    vectors = rng.normal(size=(items, 32)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    genres = np.eye(5, dtype=np.float32)[np.arange(items) % 5]
    catalogue = Catalogue(unit, genres, np.full(items, 2000.0, np.float32))
    fitted, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads if network else 1)
        try:
            with threadpool_limits(1 if network else threads, user_api="blas"):
                fitted.append(MODELS[name].fit(train, catalogue, config, clock=True).arrays())
                assert torch.get_num_threads() == (threads if network else 1)
        finally:
            torch.set_num_threads(before)
    assert fitted[0].keys() == fitted[1].keys()
    for part in fitted[0]:
        np.testing.assert_array_equal(fitted[0][part], fitted[1][part])


@pytest.mark.parametrize("name", MODELS)
def test_a_history_alone_scores_as_in_a_batch(name: str, planted: Histories, fit: Fit) -> None:
    member, moments = fit(name, planted), asked(planted)
    batch = member.score(planted, moments)
    for row in (0, 17, USERS - 1):
        alone = member.score(planted.take([row]), moments[[row]])
        np.testing.assert_allclose(alone[0], batch[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_fitting_and_scoring_leave_the_histories_alone(name: str, planted: Histories, fit: Fit) -> None:
    before = planted.items.copy(), planted.times.copy()
    fit(name, planted).score(planted, asked(planted))
    np.testing.assert_array_equal(planted.items, before[0])
    np.testing.assert_array_equal(planted.times, before[1])


@pytest.mark.parametrize("name", MODELS)
def test_no_leak_from_after_the_moment(name: str, planted: Histories, catalogue: Catalogue) -> None:
    """Under a global cut, what comes after the cut is not trained on: other events there change nothing."""
    cut = 1e9 + 86_400.0 * 40
    rng = np.random.default_rng(9)
    later = planted.times >= cut
    shuffled = planted.items.copy()
    shuffled[later] = rng.permutation(shuffled[later])
    other = Histories(planted.indptr, shuffled, planted.times)
    before = planted.where(~later)
    moments = np.full(len(before), cut)
    trains = [h.where(h.times < cut) for h in (planted, other)]
    members = [MODELS[name].fit(train, catalogue, briefly(name), clock=True) for train in trains]
    scores = [member.score(before, moments) for member in members]
    np.testing.assert_array_equal(*scores)


def test_with_weights_fixed_popularity_sees_nothing_of_the_moment_or_later(planted: Histories, fit: Fit) -> None:
    cut = float(np.median(planted.times))
    later = planted.times >= cut
    other = Histories(planted.indptr, np.where(later, 0, planted.items).astype(np.int32), planted.times)
    empty = Histories.from_rows([([], [])])
    first, second = (fit("popularity", h).score(empty, np.array([cut])) for h in (planted, other))
    np.testing.assert_array_equal(first, second)
    assert first.sum() > 0


@pytest.mark.parametrize("name", MODELS)
def test_an_unseen_user_and_an_empty_history_get_finite_scores(name: str, planted: Histories, fit: Fit) -> None:
    member = fit(name, planted)
    unknown = Histories.from_rows([([], []), ([5], [1e9])])
    scores = member.score(unknown, np.array([2e9, 2e9]))
    assert scores.shape == (2, ITEMS) and np.isfinite(scores).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("events", [[([3], [1.0])], [([3, 3, 3], [1.0, 1.0, 1.0])], [([], []), ([4, 9], [1.0, 2.0])]])
def test_tiny_data_is_fitted_without_nan(
    name: str, events: list[tuple[list[int], list[float]]], catalogue: Catalogue
) -> None:
    train = Histories.from_rows(events)
    member = MODELS[name].fit(train, catalogue, CONFIGS[name], clock=True)
    assert np.isfinite(member.score(train, asked(train))).all()
