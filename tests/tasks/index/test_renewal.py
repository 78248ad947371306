"""Other metadata, the same models: little is sent, and every answer is that of a version written from scratch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.made_up_bundle import Made, assemble, made_up
from nightreel import Reader, UserError
from tasks.index.bundle import digest_of
from tasks.index.local_store import LocalStore
from tasks.index.publisher import publish
from tasks.index.renewal import renew
from tasks.index.stored import precompute

ITEMS, CHANGED = 1000, 10
INDEX = {"least_items": 500, "connectivity": 16, "expansion_add": 64, "expansion_search": 512}


def renewed(made: Made) -> Made:
    """One item in a hundred under another title and genre; its text is encoded to something else."""
    rng = np.random.default_rng(9)
    rows = np.sort(rng.choice(ITEMS, CHANGED, replace=False))
    table, vectors = made.items.to_pydict(), made.vectors.copy()
    for row in rows.tolist():
        table["title"][row], table["genres"][row] = f"Renamed {row}", ["Western"]
    vectors[rows] = made.vectors[rng.choice(ITEMS, CHANGED)]
    return Made(pa.table(table), vectors, made.past)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    folder, made = tmp_path_factory.mktemp("base") / "bundle", made_up(users=60, items=ITEMS, watched=10, width=256)
    assemble(folder, made, INDEX)
    precompute(folder, Reader.open_bundle(folder))
    return folder, made


@pytest.fixture(scope="module")
def update(base: tuple[Path, Made], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    made = renewed(base[1])
    folder = tmp_path_factory.mktemp("update") / "bundle"
    renew(folder, base[0], made.items, made.vectors)
    return folder, made


def test_a_hundredth_of_the_items_costs_less_than_a_tenth_of_the_bytes(
    base: tuple[Path, Made], update: tuple[Path, Made], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "store")
    first = publish(store, base[0], channel="live", champion=None, lineage={})
    second = publish(store, update[0], channel="live", champion=first.digest, lineage={})
    assert 0 < second.sent <= 0.1 * first.sent
    assert Reader.open(store.uri).search("renamed", 20)[0].title.startswith("Renamed")


def test_the_same_change_gives_the_same_digest(
    base: tuple[Path, Made], update: tuple[Path, Made], tmp_path: Path
) -> None:
    assert renew(tmp_path / "again", base[0], update[1].items, update[1].vectors) == digest_of(update[0])


def test_answers_are_those_of_a_version_from_scratch(update: tuple[Path, Made], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    assemble(scratch, update[1], None)
    precompute(scratch, Reader.open_bundle(scratch))
    ours, whole = Reader.open_bundle(update[0]), Reader.open_bundle(scratch)
    changed = ours.engine.catalogue.changed.tolist()
    assert len(changed) == CHANGED and np.array_equal(ours.vectors, whole.vectors)
    asked = [*changed, *range(0, ITEMS, 23)]
    for item in asked:
        near, expected = ours.similar(f"i{item}", 10), whole.similar(f"i{item}", 10)
        assert [each.item_id for each in near] == [each.item_id for each in expected]
        np.testing.assert_allclose([each.score for each in near], [each.score for each in expected], atol=1e-6)
    moved = {f"i{row}" for row in changed}
    assert any(moved & {each.item_id for each in ours.similar(f"i{item}", 10)} for item in range(0, ITEMS, 23))
    found, exact = ours.recommend_many(update[1].past, k=10).items, whole.recommend_many(update[1].past, k=10).items
    assert np.mean(found == exact) > 0.98


def test_a_known_user_and_the_same_history_get_the_same_list(update: tuple[Path, Made]) -> None:
    reader = Reader.open_bundle(update[0])
    assert reader.engine.catalogue.nearest is not None and reader.stored.lists is not None
    past = reader.histories.take(np.arange(len(reader.users)))
    many = reader.recommend_many(past, moments=past.last_times, exclude=past, k=10)
    for row in range(0, len(reader.users), 7):
        user = reader.user_ids[row].as_py()
        told = reader.recommend(user, k=10)
        assert [reader.items.index_of(each.item_id) for each in told] == many.items[row].tolist()
        alone = past.take([row])
        again = reader.recommend_many(alone, moments=alone.last_times, exclude=alone, k=10)
        assert again.items[0].tolist() == many.items[row].tolist()


def test_other_items_are_refused(base: tuple[Path, Made], tmp_path: Path) -> None:
    fewer = base[1].items.slice(1)
    with pytest.raises(UserError, match="has other items"):
        renew(tmp_path / "bundle", base[0], fewer, base[1].vectors[1:])


def test_without_the_library_all_vectors_are_read(
    update: tuple[Path, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    reader = Reader.open_bundle(update[0])
    assert reader.engine.catalogue.nearest is None
    assert len(reader.similar(f"i{reader.engine.catalogue.changed[0]}", 10)) == 10
    assert len(reader.recommend(history=["i3", "i4"], k=10)) == 10
