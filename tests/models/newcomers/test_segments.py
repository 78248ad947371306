"""Ratios of segments: by hand, shrunk where little is known, averaged over labels, and pulled by labels of items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.newcomers.segments import Segments
from tests.support.newcomers import log_of

NOW = 1.7e9
LOG = Histories.from_rows([([0, 1], [NOW, NOW]), ([0], [NOW]), ([1, 2], [NOW, NOW]), ([2], [NOW])])
PLACES = [("de",), ("de",), ("fr",), ("fr",)]


def test_the_ratio_is_that_of_clayton_and_kaldor() -> None:
    segments = Segments.fit(log_of(LOG, 3, country=PLACES), ["country"], 2.0, 0.0)
    (de,) = segments.rows({"country": ["DE"]})["country"]
    # Two of three events in DE are of item 0, which has two of all six: one is expected.
    wanted = np.log([(2 + 2) / (1 + 2), (1 + 2) / (1 + 2), (0 + 2) / (1 + 2)])
    assert segments.lift({"country": [de]}) == pytest.approx(wanted)
    assert segments.score(np.ones(3, np.float32), {"country": [de]}) == pytest.approx(wanted)


def test_a_segment_with_few_events_says_little_and_a_strong_prior_less() -> None:
    lifts = []
    for strength in (1.0, 5.0, 1000.0):
        segments = Segments.fit(log_of(LOG, 3, country=PLACES), ["country"], strength, 0.0)
        lifts.append(np.abs(segments.lift(segments.rows({"country": ["de"]}))).max())
    assert lifts[0] > lifts[1] > lifts[2] == 0.0  # what is near 1 is not even stored


def test_old_events_of_a_segment_count_less() -> None:
    year = 365 * 86_400.0
    old = replace(LOG, times=LOG.times - np.where(LOG.rows < 2, year, 0.0))
    fresh, aged = (
        Segments.fit(log_of(log, 3, country=PLACES), ["country"], 2.0, 0.0).lift({"country": [0]})[0]
        for log in (LOG, old)
    )
    assert 0 < aged < fresh


def test_several_labels_of_a_column_count_by_their_mean_and_columns_add_up() -> None:
    log = log_of(LOG, 3, languages=PLACES, plan=[("free",), ("paid",), ("free",), ("paid",)])
    segments = Segments.fit(log, ["languages", "plan"], 1.0, 0.0)
    both = segments.lift(segments.rows({"languages": ["de", "fr"]}))
    each = [segments.lift(segments.rows({"languages": [label]})) for label in ("de", "fr")]
    assert both == pytest.approx(np.mean(each, axis=0))
    rows = segments.rows({"languages": ["de"], "plan": ["free"]})
    assert segments.lift(rows) == pytest.approx(each[0] + segments.lift(segments.rows({"plan": ["free"]})))
    assert segments.by_column([row for own in rows.values() for row in own]) == rows


def test_a_chosen_label_pulls_items_that_carry_it_though_nobody_chose_it_before() -> None:
    log = replace(log_of(LOG, 3, labels=[("crime",)] * 4), carriers={"crime": np.array([2])})
    plain, pulled = (Segments.fit(log, ["labels"], 1.0, pull) for pull in (0.0, 1.5))
    assert (pulled.lift({"labels": [0]}) - plain.lift({"labels": [0]})).tolist() == pytest.approx([0, 0, 1.5])
    assert pulled.speaking(2, {"labels": [0]}) == ["crime"] and pulled.speaking(0, {"labels": [0]}) == []


def test_unknown_columns_and_labels_have_no_rows_and_arrays_come_back() -> None:
    segments = Segments.fit(log_of(LOG, 3, country=PLACES), ["country", "plan"], 1.0, 0.0)
    assert segments.rows({"country": ["XX"], "plan": ["free"]}) == {}
    again = Segments.load(segments.columns, segments.arrays(), 3)
    assert again.lift({"country": [0]}) == pytest.approx(segments.lift({"country": [0]}), abs=1e-6)
