"""The words of a cloud, and what lifts an item: on a catalogue and an engine small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.reporting.feature_contributions import lifted
from nightreel.evaluation.reporting.word_clouds import Words
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, WEIGHTED, Blend
from nightreel.reader.question import Question
from tests.support.bundles import write_bundle

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


COLUMNS = ("ease.relative", "content_knn.relative", "popular.0", "popular.1", "year.place")
WEIGHTS = (2.0, 0.1, 0.5, 0.25, 0.0)


def trees_over(engine: Engine, weights: tuple[float, ...]) -> Blend:
    """Trees that learned what ease says, and content a little; they correct a weighted sum where there are weights."""
    import lightgbm

    _, columns, matrix = engine.candidates(PAST, QUESTION.moments, PAST)
    target = matrix[:, columns.index("ease.relative")] + 0.1 * matrix[:, columns.index("content_knn.relative")]
    options = {"verbose": -1, "num_leaves": 4, "min_data_in_leaf": 2, "num_threads": 1, "seed": 0}
    model = lightgbm.train(options, lightgbm.Dataset(matrix, target), 10).model_to_string()
    own = dict(zip(COLUMNS, weights, strict=False))
    return Blend(TREES, columns, model, tuple(own.get(column, 0.0) for column in columns) if weights else ())


PAST = Histories.from_rows([([0, 2, 4], [1.0, 2.0, 3.0])])
QUESTION = Question(PAST, PAST, np.array([np.nan]), np.array([np.nan]))
BLENDS: dict[str, Callable[[Engine], Blend]] = {
    "trees": lambda engine: trees_over(engine, ()),
    "trees that correct a sum": lambda engine: trees_over(engine, WEIGHTS),
    "weighted": lambda _: Blend(WEIGHTED, COLUMNS, "", WEIGHTS),
    "fusion": lambda _: Blend(FUSION),
    "ease": lambda _: Blend("ease"),
    "popularity": lambda _: Blend("popularity"),
    "trees of 0.1": lambda engine: replace(trees_over(engine, ()), columns=legacy(engine)),
}  # fmt: skip


def legacy(engine: Engine) -> tuple[str, ...]:
    """As many columns as today's, by the names that versions of 0.1 learned from where those differ."""
    _, columns, _ = engine.candidates(PAST, QUESTION.moments, PAST)
    old = {"ease.relative": "ease.score", "popular.0": "count.0", "popular.1": "count.1", "rising": "trend"}
    old |= {"newness": "age", "year.place": "year"}
    return tuple(old.get(column, column) for column in columns)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("samples") / "bundle"
    write_bundle(folder)
    return Engine.open(folder)


@pytest.mark.parametrize("kind", BLENDS)
def test_what_lifts_an_item_is_told_by_part_and_sums_up_to_its_lead(kind: str, engine: Engine) -> None:
    blended = replace(engine, blend=BLENDS[kind](engine))
    found, columns, matrix = blended.candidates(PAST, QUESTION.moments, PAST)
    scores = blended.blend.score(found, tuple(engine.members), columns, matrix).astype(np.float64)
    for at in (int(np.argmax(scores)), int(np.argmin(scores))):
        (parts,) = lifted(blended, QUESTION, found.items[at : at + 1].astype(np.int64))
        assert [abs(value) for _, value in parts] == sorted((abs(value) for _, value in parts), reverse=True)
        lead = float(scores[at] - scores.mean())
        assert sum(value for _, value in parts) == pytest.approx(
            lead, abs=1e-2 if blended.blend.model else 1e-6, rel=1e-3
        )
    assert lifted(blended, QUESTION, np.array([0])) == [[]], "what was seen is no candidate"
    unseen = np.arange(engine.n_items) == found.items[0]
    assert lifted(blended, QUESTION, found.items[:1].astype(np.int64), unseen) == [[]], "nor is what may not be shown"


def test_parts_bear_the_names_of_what_they_tell_of(engine: Engine) -> None:
    def told(blend: Blend) -> dict[str, float]:
        blended = replace(engine, blend=blend)
        found, columns, matrix = blended.candidates(PAST, QUESTION.moments, PAST)
        best = np.argmax(blend.score(found, tuple(engine.members), columns, matrix))
        return dict(lifted(blended, QUESTION, found.items[best : best + 1].astype(np.int64))[0])

    found, _, matrix = replace(engine, blend=Blend(WEIGHTED, COLUMNS, "", WEIGHTS)).candidates(
        PAST, QUESTION.moments, PAST
    )
    scores = Blend(WEIGHTED, COLUMNS, "", WEIGHTS).score(found, tuple(engine.members), COLUMNS, matrix)
    own = (matrix - matrix.mean(axis=0))[np.argmax(scores)] * np.array(WEIGHTS)
    assert told(Blend(WEIGHTED, COLUMNS, "", WEIGHTS)) == pytest.approx(
        {"member ease": own[0], "member content_knn": own[1], "item popularity": own[2] + own[3]}, rel=1e-3
    )
    assert told(Blend(FUSION)).keys() <= {f"member {name}" for name in engine.members}
    assert told(Blend("ease")).keys() == {"member ease"}
    assert next(iter(told(trees_over(engine, ())))) == "member ease"
    named = {
        told for names in (told(trees_over(engine, WEIGHTS)), told(BLENDS["trees of 0.1"](engine))) for told in names
    }
    assert not {part for part in named if "." in part or part.split()[0] in ("popular", "rising", "newness", "count")}


def test_whom_no_member_knows_anything_to_tell_gets_no_parts(engine: Engine) -> None:
    nobody = Histories.from_rows([([], [])])
    question = Question(nobody, None, np.array([np.nan]), np.array([np.nan]))
    only = replace(engine, members={"ease": engine.members["ease"]}, blend=Blend("ease"))
    assert lifted(only, question, np.array([0, 1])) == [[], []]


@pytest.mark.parametrize("kind", BLENDS)
def test_who_has_seen_all_that_may_be_shown_gets_no_parts(kind: str, engine: Engine) -> None:
    blended = replace(engine, blend=BLENDS[kind](engine))
    assert lifted(blended, QUESTION, np.array([0, 1]), np.ones(engine.n_items, bool)) == [[], []]
