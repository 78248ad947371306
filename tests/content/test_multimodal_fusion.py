"""Text, sound and picture in one vector: what behaviour tells is learned, and no item breaks without one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.content.comparison import ContentComparison
from nightreel.content.modalities import Vectors, read_media_vectors
from nightreel.content.training.fit_vectors import ContentVectors, FitInputs, fuse_media
from nightreel.content.training.multimodal_fusion import TEXT, Fused, Scale, dropped, learn_fusion
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.settings.fusion import Fusion
from nightreel.settings.params_file import Settings
from tests.support.settings import settings

N, TASTES, DIM = 120, 4, 16
SETTINGS = Fusion(steps=80, pairs=64, learning_rate=0.03, temperature=0.2, dropout=0.3)
TASTE = np.arange(N) % TASTES
PAIRS = np.array([(a, b) for a in range(N) for b in range(N) if a != b and TASTE[a] == TASTE[b]], np.int64)


def planted() -> dict[str, np.ndarray]:
    """The sound tells the taste half, the picture the other half, in few of their numbers; the text nothing."""
    rng = np.random.default_rng(0)
    text = rng.standard_normal((N, DIM))
    sound = 50 + 10 * rng.standard_normal((N, 12))
    picture = 0.2 * rng.standard_normal((N, 20))
    sound[:, 3] += 40 * (TASTE % 2)
    picture[:, 7] += 0.8 * (TASTE // 2)
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (text, picture)]
    return {TEXT: unit[0].astype("f4"), "sound": sound.astype("f4"), "picture": unit[1].astype("f4")}


def learned(given: dict[str, np.ndarray], wanted: Fusion = SETTINGS) -> Fused:
    fused = learn_fusion(given, PAIRS, np.ones(N), wanted, 7)
    assert fused is not None
    return fused


@pytest.fixture(scope="module")
def fused() -> Fused:
    return learned(planted())


def nearness(vectors: np.ndarray) -> float:
    """Share of items whose nearest other item has their taste; 1 / TASTES by chance."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return float((TASTE[cosines.argmax(1)] == TASTE).mean())


def test_it_learns_what_the_text_does_not_tell(fused: Fused) -> None:
    given = planted()
    vectors = fused.fuse(given)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert nearness(given[TEXT]) < 0.4 and nearness(vectors) > 0.8
    assert fused.losses[-1][1] < fused.losses[0][1] and [step for step, _ in fused.losses] == list(range(1, 81))


@pytest.mark.parametrize("missing", [[TEXT], ["sound"], ["picture"], [TEXT, "sound"], ["sound", "picture"]])
def test_an_item_without_a_modality_is_a_whole_item(fused: Fused, missing: list[str]) -> None:
    """Row 0 lacks them: its vector is of unit length and near what it was; nobody else's changes, and no one's bytes
    depend on whether a missing modality is a zero row or not given at all."""
    given, whole = planted(), fused.fuse(planted())
    for name in missing:
        given[name][0] = 0
    vectors = fused.fuse(given)
    assert np.isfinite(vectors).all() and np.linalg.norm(vectors[0]) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(vectors[1:], whole[1:])
    rest = {name: each[:1] for name, each in given.items() if name not in missing}
    np.testing.assert_allclose(fused.fuse(rest)[0], vectors[0], atol=1e-6)


def test_an_item_without_anything_has_no_direction(fused: Fused) -> None:
    given = {name: np.zeros_like(each) for name, each in planted().items()}
    assert not fused.fuse(given).any()


def test_dropout_makes_items_without_a_modality_better() -> None:
    """The picture alone is asked about half of what the sound and it tell together."""
    given = planted()
    alone = {"picture": given["picture"]}

    def same_half(vectors: np.ndarray) -> float:
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        return float((TASTE[cosines.argmax(1)] // 2 == TASTE // 2).mean())

    robust = learned(given, SETTINGS.model_copy(update={"dropout": 0.5}))
    assert same_half(robust.fuse(alone)) > 0.8


def test_learning_starts_from_the_modalities_side_by_side() -> None:
    given = planted()
    first = learned(given, SETTINGS.model_copy(update={"steps": 1, "learning_rate": 1e-9}))
    aside = np.hstack([Scale.of(name, each).apply(each) for name, each in given.items()])
    fused = first.fuse(given)
    assert np.corrcoef((aside @ aside.T).ravel(), (fused @ fused.T).ravel())[0, 1] > 0.5
    np.testing.assert_allclose(first.fuse({TEXT: given[TEXT]}), given[TEXT], atol=1e-6)


def test_equal_arguments_give_equal_bytes(fused: Fused) -> None:
    again = learned(planted())
    assert again.fuse(planted()).tobytes() == fused.fuse(planted()).tobytes()


def test_dropout_never_takes_all() -> None:
    there = np.array([[True, False, True], [False, True, False], [False, False, False]] * 200)
    kept = dropped(there, 0.7, np.random.default_rng(0))
    assert not (kept & ~there).any()
    assert (kept.any(1) == there.any(1)).all()
    assert (there & ~kept).sum() > 0


def test_a_constant_number_and_a_missing_row_stay_zero() -> None:
    vectors = np.array([[5, 1], [5, 3], [0, 0]], np.float32)
    scaled = Scale.of("sound", vectors).apply(vectors)
    np.testing.assert_allclose(scaled, [[0, -1 / np.sqrt(2)], [0, 1 / np.sqrt(2)], [0, 0]], atol=1e-6)


def test_few_pairs_teach_nothing() -> None:
    assert learn_fusion(planted(), PAIRS[:63], np.ones(N), SETTINGS, 7) is None


def table(folder: Path, sound: list[Any], picture: list[Any]) -> Path:
    columns = {"item_id": [f"i{n}" for n in range(len(sound))], "sound": pa.array(sound, pa.list_(pa.float32())),
               "picture": pa.array(picture, pa.list_(pa.float32()))}  # fmt: skip
    pq.write_table(pa.table(columns), folder / "items.parquet")
    return folder / "items.parquet"


def test_media_vectors_come_in_the_catalogues_order(tmp_path: Path) -> None:
    found = read_media_vectors(table(tmp_path, [None, [1.0, 2.0], None], [None, None, None]))
    assert list(found) == ["sound"]
    np.testing.assert_array_equal(found["sound"], [[0, 0], [1, 2], [0, 0]])


def test_vectors_of_two_lengths_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, [[1.0, 2.0], [1.0]], [None, None])
    with pytest.raises(
        UserError, match=r"items.parquet: item i1: its sound has 1 numbers; expected 2. Run `dvc repro -f"
    ):
        read_media_vectors(path)


def compare(before: Vectors, after: Vectors) -> ContentComparison:
    return ContentComparison(nearness(before), nearness(after), nearness(after) > nearness(before))


@pytest.fixture
def lesson(tmp_path: Path) -> FitInputs:
    """Histories of one taste each, over items with sound and pictures."""
    given = planted()
    understood = table(tmp_path, given["sound"].tolist(), given["picture"].tolist())
    rows = [(np.flatnonzero(n % TASTES == TASTE).tolist(), list(range(N // TASTES))) for n in range(8)]
    wanted: Settings = settings(finetune={"fusion": SETTINGS.model_dump()})
    return FitInputs(Histories.from_rows(rows), N, (tmp_path, understood), compare, wanted, True)


def test_what_ranks_validation_better_is_kept_and_saved(lesson: FitInputs, tmp_path: Path) -> None:
    text = ContentVectors(planted()[TEXT], "base", [], [])
    found = fuse_media(text, lesson, tmp_path / "fusion")
    assert found.fitted == "fused" and nearness(found.vectors) > nearness(text.vectors)
    assert (tmp_path / "fusion/fusion.safetensors").is_file() and len(found.fusion_losses) == 80


def test_what_does_not_is_left(lesson: FitInputs, tmp_path: Path) -> None:
    text = ContentVectors(planted()[TEXT], "base", [], [])
    worse = replace(lesson, compare=lambda before, after: compare(after, before))
    found = fuse_media(text, worse, tmp_path / "fusion")
    assert found.fitted == "base" and found.vectors is text.vectors and not (tmp_path / "fusion").exists()
    assert fuse_media(text, replace(lesson, used=False), tmp_path) is text
