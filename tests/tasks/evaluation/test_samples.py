"""The words of a cloud, and what lifts an item: on a catalogue and an engine small enough to reckon by hand."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.data.histories import Histories
from tasks.evaluation.attribution import lifted
from tasks.evaluation.clouds import Words
from tasks.index.slates import Question
from tasks.models.blend import TREES, Blend
from tasks.models.engine import Engine
from tests.tasks.index.bundles import write_bundle

FILMS = pa.table({
    "title": ["The Violin", "Violin of Mars", "1984", "Which Mars"] + ["Other"] * 96,
    "genres": [["Drama"], ["Drama"], ["Sci-Fi"], ["Sci-Fi"]] + [["Comedy"]] * 96,
    "description": ["where a violin", None, "", "mars again"] + [None] * 96,
})  # fmt: skip


def test_a_cloud_names_labels_and_telling_words_by_tf_idf() -> None:
    words = Words.of(FILMS)
    assert words.rows[0] == {"Drama", "violin"}, "function words and short ones say nothing"
    assert words.rows[2] == {"Sci-Fi"}, "nor do numbers"
    assert words.rows[4] == {"Comedy"}, "nor what nearly every item says"
    cloud = dict(words.cloud([0, 1, 3]))
    both = 2 * log(101 / 2)
    assert cloud == {"Drama": 1, "mars": 1, "violin": 1} and both > 0
    assert [word for word, _ in words.cloud([0, 1, 3])] == ["Drama", "mars", "violin"]
    weights = dict(words.cloud([0, 1, 4, 5, 6]))
    assert weights["Comedy"] == pytest.approx(3 * log(101 / 96) / both, abs=1e-3)
    assert words.cloud([]) == []


def test_what_lifts_an_item_is_told_by_part_and_sums_up_to_its_lead(tmp_path: Path) -> None:
    import lightgbm

    write_bundle(tmp_path / "bundle")
    engine = Engine.open(tmp_path / "bundle")
    past = Histories.from_rows([([0, 2, 4], [1.0, 2.0, 3.0])])
    question = Question(past, past, np.array([np.nan]), np.array([np.nan]))
    assert lifted(engine, question, np.array([6])) == [[]], "fusion has no features to tell of"
    found, columns, matrix = engine.candidates(past, question.moments, past)
    target = matrix[:, columns.index("ease.score")] + 0.1 * matrix[:, columns.index("content_knn.score")]
    options = {"verbose": -1, "num_leaves": 4, "min_data_in_leaf": 2, "num_threads": 1, "seed": 0}
    model = lightgbm.train(options, lightgbm.Dataset(matrix, target), 10).model_to_string()
    learned = Engine(
        engine.members, engine.statistics, engine.catalogue, Blend(TREES, columns, model), 20, 60, engine.now
    )
    scores = learned.blend.score(found, tuple(engine.members), columns, matrix)
    best = int(found.items[np.argmax(scores)])
    (parts,) = lifted(learned, question, np.array([best]))
    assert parts[0][0] == "member ease" and parts[0][1] > 0
    assert sum(value for _, value in parts) == pytest.approx(float(scores.max() - scores.mean()), abs=1e-2)
    assert lifted(learned, question, np.array([0])) == [[]], "what was seen is no candidate"
