"""Whether context pays: what is planted is found and confirmed, what says nothing stays out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.validation import ndcg
from nightreel.models.baselines.popularity import Popularity, decayed_counts
from nightreel.models.newcomers.selection import choose
from nightreel.models.training.selected_params import NewcomerParams
from tests.support.newcomers import DAY, log_of, planted


def chosen(histories: Histories, **labels: list[tuple[str, ...]]) -> NewcomerParams | None:
    edges = np.quantile(histories.times, np.linspace(0, 1, 33)[1:])
    popular = Popularity(edges, decayed_counts(histories, edges, 30 * DAY, 60))
    return choose(log_of(histories, 60, **labels), popular, ndcg, np.random.default_rng(0))


def test_a_planted_column_is_found_beside_one_that_says_nothing() -> None:
    rng = np.random.default_rng(1)
    histories, country = planted(rng)
    found = chosen(histories, plan=[(f"p{n}",) for n in rng.integers(3, size=len(country))], country=country)
    assert found is not None and found.columns == ("country",)
    assert found.users == 120 and found.ndcg > 1.1 * found.plain_ndcg


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_rows_stay_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    histories, country = planted(rng)
    assert chosen(histories, country=[country[n] for n in rng.permutation(len(country))]) is None


def test_what_holds_on_the_earlier_periods_alone_is_not_kept() -> None:
    rng = np.random.default_rng(2)
    histories, country = planted(rng)
    late = int(0.8 * len(country))  # the countries of those who confirm are wrong
    assert (
        chosen(histories, country=[*country[:late], *(country[n] for n in rng.permutation(late)[: 600 - late])]) is None
    )


def test_too_few_newcomers_confirm_nothing_and_nothing_known_is_no_error() -> None:
    histories, country = planted(np.random.default_rng(3), users=200)
    assert chosen(histories, country=country) is None
    assert chosen(histories) is None
    assert chosen(histories, country=[()] * len(country)) is None
    together = replace(histories, times=np.full(len(histories.times), 1.7e9))
    assert chosen(together, country=country) is None
