"""The index finds what reading all vectors finds, whatever is left out and whatever has changed since it was built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.made_up_bundle import unit_vectors
from nightreel.data.histories import Histories
from nightreel.models.ann_index import FILE, Nearest, build
from nightreel.models.content_vectors import read, write
from nightreel.models.neighbors.content_knn import ContentKnn

SETTINGS = {"least_items": 1000, "connectivity": 16, "expansion_add": 64, "expansion_search": 256}
ITEMS, NOTHING = 1500, np.empty(0, np.int64)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return unit_vectors(ITEMS, 48, np.random.default_rng(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> Path:
    made = tmp_path_factory.mktemp("base")
    write(made, vectors, SETTINGS, None)
    return made


def opened(folder: Path) -> Nearest:
    found = Nearest.open(folder / FILE, *read(folder), SETTINGS["expansion_search"])
    assert found is not None
    return found


def recall(index: Nearest, vectors: np.ndarray, without: np.ndarray, hidden: np.ndarray) -> float:
    shares = []
    for query in vectors[::100]:
        scores = vectors @ query
        scores[without], scores[hidden] = -np.inf, -np.inf
        items, values = index.best(query, 10, without, hidden)
        assert len(items) == 10 and not hidden[items].any() and not np.isin(items, without).any()
        np.testing.assert_allclose(values, scores[items], rtol=1e-5)
        assert (np.diff(values) <= 0).all()
        shares.append(len(set(items.tolist()) & set(np.argsort(-scores)[:10].tolist())) / 10)
    return float(np.mean(shares))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_nearly_all_of_the_nearest_are_found(folder: Path, vectors: np.ndarray, share: float) -> None:
    hidden = np.random.default_rng(2).random(ITEMS) < share
    hidden[:10] = False
    hidden[900:930] = False
    assert recall(opened(folder), vectors, np.array([3, 700]), hidden) >= 0.99


def test_equal_vectors_give_equal_bytes(folder: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    build(vectors, SETTINGS, tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == (folder / FILE).read_bytes()


def test_changed_vectors_are_written_alone_and_found(folder: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows, new = np.sort(rng.choice(ITEMS, 30, replace=False)), vectors.copy()
    new[rows] = vectors[rng.choice(ITEMS, 30)] * np.float32(0.999)
    write(tmp_path, new, SETTINGS, folder)
    for name in ("vectors.npy", FILE):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    kept, changed = read(tmp_path)
    assert np.array_equal(kept, new) and changed.tolist() == rows.tolist() and not kept.flags.writeable
    assert recall(opened(tmp_path), new, NOTHING, np.zeros(ITEMS, bool)) >= 0.99


def test_a_change_back_leaves_no_trace_and_many_changes_begin_anew(
    folder: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    new = vectors.copy()
    new[7] = -new[7]
    for name, base, content in (("a", folder, new), ("b", tmp_path / "a", vectors), ("c", folder, -vectors)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, content, None, base)
    assert read(tmp_path / "a")[1].tolist() == [7]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["vectors.npy"]
    assert np.array_equal(read(tmp_path / "c")[0], -vectors) and not len(read(tmp_path / "c")[1])


def test_content_knn_lists_alike_with_and_without_the_index(folder: Path, vectors: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    taken = [rng.choice(ITEMS, 20, replace=False) for _ in range(30)]
    past = Histories.from_rows([*((row, np.arange(20.0)) for row in taken), ([], [])])
    plain = ContentKnn(vectors, 5.0)
    found = replace(plain, nearest=opened(folder)).search(past, past, None, 50)
    assert found is not None and plain.search(past, past, None, 50) is None
    scores = plain.score(past, np.full(31, np.nan))
    scores[past.rows, past.items] = -np.inf
    items, values = found.top(10)
    expected = np.argsort(-scores[:30], axis=1)[:, :10]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(items[:30].tolist(), expected.tolist(), strict=True)]
    assert np.mean(shared) >= 0.99
    assert np.isinf(values[30]).all() and found.floor[30] == np.inf, "nothing is near an empty history"
    rows, columns = np.repeat(np.arange(3), 2), np.array([5, 6] * 3)
    np.testing.assert_allclose(
        found.at(rows, columns), plain.score(past, np.full(31, np.nan))[rows, columns], atol=1e-6
    )
