"""The sliders' trade-off is measured on the very lists that the reader gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import tradeoff
from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.test_set import TestSet
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.reader.recommend import of_users
from tests.support.bundles import taste, write_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = Path(tmp_path_factory.mktemp("bundle") / "bundle")
    write_bundle(folder)
    return Reader.open_bundle(folder)


@pytest.fixture(scope="module")
def asked(reader: Reader) -> TestSet:
    """Every user; what they want is the first item of the plain list, so that NDCG is 1 at 0."""
    rows = np.arange(len(reader.users))
    known = of_users(reader, rows, None, True)
    past, exclude, moments = known.past, known.exclude, known.moments
    best = reader.recommend_many(past, moments=moments, exclude=exclude, k=1).items
    wanted = Histories.from_rows([(row.tolist(), [0.0]) for row in best])
    return TestSet("all", rows, past, exclude, moments, Truth.of(wanted, 30), np.zeros(30), 0)


@pytest.mark.parametrize("wishes", [RequestOptions(), RequestOptions(diversity=0.4), RequestOptions(freshness=0.7)])
def test_the_lists_are_the_readers(reader: Reader, asked: TestSet, wishes: RequestOptions) -> None:
    listed = tradeoff.lists(reader, tradeoff.candidates(reader, asked), wishes)
    for row in (0, 7, 38):
        expected = [each.item_id for each in reader.recommend(reader.user_ids[row].as_py(), k=10, options=wishes)]
        assert [reader.items.ids[i] for i in listed[row] if i >= 0] == expected


def test_the_curve_gives_distance_for_relevance(reader: Reader, asked: TestSet) -> None:
    points = tradeoff.curve(reader, asked, "diversity", (0.0, 0.5, 1.0))
    assert points[0].ndcg.tolist() == [1.0] * 40 and points[1].content > points[0].content
    # The plain list's share of pairs of two tastes, whose genres have nothing in common.
    plain = tradeoff.lists(reader, tradeoff.candidates(reader, asked), RequestOptions())
    tastes = np.vectorize(taste)(plain)
    unlike = [(row[:, None] != row)[np.triu_indices(10, 1)].mean() for row in tastes]
    assert points[0].genres == pytest.approx(np.mean(unlike))
    fresh = tradeoff.curve(reader, asked, "freshness", (0.0, 1.0))
    assert fresh[1].newer > fresh[0].newer and fresh[1].ndcg.mean() < 1
