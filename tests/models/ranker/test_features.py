"""Features mean the same at any moment; what versions of 0.1 learned from can still be computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import Engine
from nightreel.models.training.training_positions import stacked, tail
from tests.support.planted import catalogue, engine, histories

YEAR = 365 * 86_400.0


def columns_of(asked: Engine, known: Histories) -> dict[str, npt.NDArray[np.float32]]:
    """Every feature of the candidates of each user's last event."""
    positions = tail(known, 1, 3)
    _, names, matrix = asked.candidates(positions.histories, positions.moments, positions.histories)
    return dict(zip(names, matrix.T, strict=True))


def later(known: Histories) -> Histories:
    """The same a year later."""
    return Histories(known.indptr, known.items, known.times + YEAR)


def a_year_newer() -> Catalogue:
    """The catalogue with every release year one more."""
    return replace(catalogue(), years=catalogue().years + 1)


def test_a_world_shifted_by_a_year_gives_the_same_columns() -> None:
    before = columns_of(engine(), histories())
    shifted = later(histories())
    made = engine(shifted)
    after = columns_of(replace(made, catalogue=a_year_newer()), shifted)
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


def test_counts_times_ten_keep_popularity_near_what_it_was() -> None:
    """Every user ten times: shares of the log count of the most popular item stay within a share of it, where the log
    count itself grows by log 10."""
    once, many = engine(), engine(stacked([histories()] * 10))
    known = tail(histories(), 1, 3)
    asked = once.candidates(known.histories, known.moments, known.histories)[0]
    for trend, grown in zip(once.statistics.trends, many.statistics.trends, strict=True):
        row, items = known.moments, asked.items
        assert (grown.largest(row) >= trend.largest(row) * 9).all()
        assert items.size
    before, after = columns_of(once, histories()), columns_of(many, histories())
    for name in (name for name in before if name.startswith("popular.") or name in ("newness", "year.place")):
        assert np.nanmax(after[name]) <= 1 and np.nanmin(after[name]) >= 0, name


@pytest.mark.parametrize("column", ["ease.score", "count.0", "year", "trend", "age", "span"])
def test_what_an_earlier_release_learned_from_is_computed_where_it_is_asked_for(column: str) -> None:
    usual = engine()
    old = replace(usual, blend=replace(usual.blend, columns=(column, "ease.rank")))
    found = columns_of(old, histories())
    assert tuple(found) == (column, "ease.rank")
    assert column not in columns_of(usual, histories()), "nothing new is learned from it"
    assert np.isfinite(found[column]).any()


def test_a_column_that_no_member_gives_is_named() -> None:
    usual = engine()
    with pytest.raises(ValueError, match=r"other features: \['vae\.rank'\]"):
        columns_of(replace(usual, blend=replace(usual.blend, columns=("vae.rank",))), histories())
