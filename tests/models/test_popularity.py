"""Popularity counts people: one account, however many events it has, does not decide what everybody is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from nightreel.bundle.context_popularity import _counts
from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.baselines.popularity import DAY, Popularity, PopularityConfig
from nightreel.models.catalogue import catalogue_of
from nightreel.models.ranker.item_statistics import ItemStatistics

ITEMS, PEOPLE, EVENTS = 50, 40, 12
BOT_ITEMS = np.arange(30, 50)
END = 1.7e9 + 6 * DAY


def catalogue() -> Catalogue:
    items = pa.table({"item_id": [str(n) for n in range(ITEMS)], "title": [str(n) for n in range(ITEMS)]})
    return catalogue_of(items, np.zeros((ITEMS, 2), np.float32))


def people(with_a_bot: bool) -> Histories:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(PEOPLE), EVENTS)
    items, times = rng.integers(0, 30, len(users)), rng.uniform(1.7e9, END, len(users))
    if with_a_bot:
        users = np.append(users, np.full(1500, PEOPLE))
        items = np.append(items, rng.choice(BOT_ITEMS, 1500))
        times = np.append(times, rng.uniform(1.7e9, END, 1500))
    return Histories.from_events(users, items, times, PEOPLE + with_a_bot)


@pytest.mark.parametrize("clock", [True, False])
def test_items_that_one_account_plays_all_day_are_not_the_most_popular(clock: bool) -> None:
    told = people(with_a_bot=True)
    counted = Popularity.fit(told, catalogue(), PopularityConfig(half_life_days=7.0, buckets=8), clock=clock)
    now = counted.score(told.take([0]), np.array([np.nan]))[0]
    assert now[BOT_ITEMS].max() < np.sort(now[:30])[-10:].min() and (now[BOT_ITEMS] > 0).all()
    trends = ItemStatistics.fit(told, catalogue(), [7.0], 8, clock).trends
    assert all(trend.table[-1][BOT_ITEMS].max() < trend.table[-1].max() for trend in trends)
    week = _counts(told, ITEMS, clock)
    assert week[BOT_ITEMS].max() < np.sort(week[:30])[-10:].min()


def test_an_account_that_repeats_an_item_counts_as_ten_at_most() -> None:
    """It has no more events than its account may have: half a day of a bot outweighs everybody else's day."""
    rng = np.random.default_rng(2)
    items = [rng.choice(30, 20, replace=False).tolist() for _ in range(60)] + [[35] * 150]
    told = Histories.from_rows([(own, np.linspace(0, 1, len(own)).tolist()) for own in items])
    weights = told.person_weights
    assert weights is not None and weights[:-150].min() == 1 and weights[-150:].sum() == pytest.approx(10)
    counted = Popularity.fit(told, catalogue(), PopularityConfig(half_life_days=7.0, buckets=8), clock=False)
    assert counted.table[0][35] == pytest.approx(10) and counted.table[0][:30].min() > 10


def test_people_who_are_keen_count_in_full() -> None:
    rng = np.random.default_rng(1)
    lengths = np.append(
        rng.integers(5, 30, 99), 250
    )  # one has ten times as many as most, and less than ten times the most
    told = Histories.from_events(
        np.repeat(np.arange(100), lengths), rng.integers(0, ITEMS, lengths.sum()), np.arange(lengths.sum()), 100
    )
    assert told.person_weights is None
    counted = Popularity.fit(told, catalogue(), PopularityConfig(half_life_days=7.0, buckets=8), clock=False)
    assert counted.table[0].tolist() == np.bincount(told.items, minlength=ITEMS).tolist()


def test_nobody_and_one_person() -> None:
    assert Histories.from_rows([]).person_weights is None
    assert Histories.from_rows([([1, 2], [1.0, 2.0]), ([], [])]).person_weights is None
