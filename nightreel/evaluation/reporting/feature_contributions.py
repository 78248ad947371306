"""Feature contributions: why an item scores higher than a user's other candidates, grouped by kind of feature.

The terms of a weighted sum, of reciprocal rank fusion and of a single member add up to the score exactly. For trees the
contributions are TreeSHAP values, Lundberg et al. 2020 (doi:10.1038/s42256-019-0138-9), as computed by LightGBM; if the
trees correct a weighted sum, its terms are added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, WEIGHTED, Blend, terms_of_sum
from nightreel.models.ranker.candidates import Candidates, terms_of_fusion
from nightreel.reader.question import Question

Parts = list[tuple[str, float]]
MOST = 6  # contributions reported for an item
DIGITS = 4  # significant digits of a contribution, since scores of fusion are a thousandth of a member's
USED = "item popularity"
NAMES = {
    "popular": USED,
    "rising": USED,
    "count": USED,
    "trend": USED,
    "popularity": "popularity of the user's items",
    "newness": "item age",
    "age": "item age",
    "year": "item year",
    "genre": "genres",
    "content": "content similarity",
    "history": "user activity",
    "gap": "user activity",
    "span": "user activity",
    "sitting": "user activity",
    "repeats": "earlier consumption",
    "turned_down": "what was disliked or skipped",
    "fusion": "rank fusion of the members",
}


def lifted(
    engine: Engine, question: Question, items: IntArray, hidden: npt.NDArray[np.bool_] | None = None
) -> list[Parts]:
    """Compute the contributions to items' scores for one request, for any kind of blend.

    Args:
        engine: Its blend ranks the candidates.
        question: One row.
        items: [n] indices of items.
        hidden: [n_items] items that may not be shown, and so are no candidates; None for none.

    Returns:
        For each item, its MOST largest contributions, relative to the average candidate: (name, difference in units of
        the score), the largest first. All contributions of an item add up to the difference of its score from the
        average. Empty for an item that is no candidate.
    """
    found, columns, matrix = engine.candidates(question.past, question.moments, question.exclude, hidden)
    if not len(found.items):  # such as for who has seen everything: LightGBM divides by the number of rows
        return [[] for _ in items]
    names, terms = _terms(engine.blend, tuple(engine.members), found, columns, matrix)
    place = {int(item): at for at, item in enumerate(found.items)}
    parts, sums = _summed(names, terms - terms.mean(axis=0))
    return [_largest(parts, sums[place[int(item)]]) if int(item) in place else [] for item in items]


def _terms(
    blend: Blend, members: Sequence[str], found: Candidates, columns: Sequence[str], matrix: npt.NDArray[np.float32]
) -> tuple[list[str], FloatArray]:
    """The name of each term, and the terms [p, terms], whose sum is a candidate's score up to a constant."""
    if blend.kind == FUSION:
        return [f"member {name}" for name in members], terms_of_fusion(found.ranks)
    if blend.kind not in (TREES, WEIGHTED):
        own = found.scores[:, list(members).index(blend.kind)]
        return [f"member {blend.kind}"], own[:, None].astype(np.float64)
    terms = np.zeros(matrix.shape)
    if blend.weights:
        terms += terms_of_sum(matrix, blend.weights)
    if blend.kind == TREES:
        terms += _shap(blend, matrix)
    return _named(columns, members), terms


def _shap(blend: Blend, matrix: npt.NDArray[np.float32]) -> FloatArray:
    """[p, columns] SHAP value of each feature."""
    from lightgbm import Booster

    values = Booster(model_str=blend.model).predict(matrix, pred_contrib=True, num_threads=1)
    return np.asarray(values, np.float64)[:, :-1]  # the last column is the expected value


def _named(columns: Sequence[str], members: Sequence[str]) -> list[str]:
    """The name of each column's group: a member's columns are one group, and so are those of one kind of feature."""
    # `popularity.from_mean` is about the user's items; the member `popularity` has score, relative and rank.
    own = {f"{member}.{kind}": member for member in members for kind in ("score", "relative", "rank")}
    heads = [column.partition(".")[0] for column in columns]
    return [
        f"member {own[column]}" if column in own else NAMES.get(head, head)
        for column, head in zip(columns, heads, strict=True)
    ]


def _summed(names: Sequence[str], terms: FloatArray) -> tuple[list[str], FloatArray]:
    """The distinct names, and [p, names] the sums of their terms [p, terms]."""
    parts = list(dict.fromkeys(names))
    return parts, np.column_stack([terms[:, [name == part for name in names]].sum(axis=1) for part in parts])


def _largest(parts: Sequence[str], row: FloatArray) -> Parts:
    order = np.argsort(-np.abs(row), kind="stable")[:MOST]
    return [(parts[at], float(f"{row[at]:.{DIGITS}g}")) for at in order if row[at]]
