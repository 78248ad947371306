"""What lifts an item above a user's other candidates: the terms of the blend's score, summed by what they tell of.

A weighted sum, reciprocal rank fusion and a single member have terms that add up to their score exactly. Trees are told
by TreeSHAP, Lundberg et al. 2020 (doi:10.1038/s42256-019-0138-9), as LightGBM computes it; where they correct a
weighted sum, its terms come on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, WEIGHTED, Blend, terms_of_sum
from nightreel.models.ranker.candidates import Candidates, terms_of_fusion
from nightreel.reader.slate import Question

Parts = list[tuple[str, float]]
MOST = 6  # parts told of an item
DIGITS = 4  # of a part's figure: scores of fusion are a thousandth of a member's
USED = "how much it is used"
NAMES = {
    "popular": USED,
    "rising": USED,
    "count": USED,
    "trend": USED,
    "popularity": "how popular the user's items are",
    "newness": "its age",
    "age": "its age",
    "year": "its year",
    "genre": "genres",
    "content": "closeness in content",
    "history": "the user's pace",
    "gap": "the user's pace",
    "span": "the user's pace",
    "sitting": "the user's pace",
    "repeats": "taken before",
    "fusion": "agreement of the members",
}


def lifted(
    engine: Engine, question: Question, items: IntArray, hidden: npt.NDArray[np.bool_] | None = None
) -> list[Parts]:
    """Why items score as they do for one row, whatever kind the blend is.

    Args:
        engine: whose blend ranks the candidates.
        question: one row.
        items: [n] of the catalogue.
        hidden: [n_items] what nobody may be shown, and so is no candidate; None for nothing.

    Returns:
        Of each item, the MOST parts that set its score furthest from the mean candidate's: (part, difference in units
        of the score), the largest first. All parts of an item sum up to its lead. Empty for what is no candidate.
    """
    found, columns, matrix = engine.candidates(question.past, question.moments, question.exclude, hidden)
    names, told = _terms(engine.blend, tuple(engine.members), found, columns, matrix)
    place = {int(item): at for at, item in enumerate(found.items)}
    if not place:
        return [[] for _ in items]
    parts, sums = _summed(names, told - told.mean(axis=0))
    return [_largest(parts, sums[place[int(item)]]) if int(item) in place else [] for item in items]


def _terms(
    blend: Blend, members: Sequence[str], found: Candidates, columns: Sequence[str], matrix: npt.NDArray[np.float32]
) -> tuple[list[str], FloatArray]:
    """The part that each term tells of, and the terms [p, terms], whose sum is a candidate's score but for a figure
    that all candidates share."""
    if blend.kind == FUSION:
        return [f"member {name}" for name in members], terms_of_fusion(found.ranks)
    if blend.kind not in (TREES, WEIGHTED):
        own = found.scores[:, list(members).index(blend.kind)]
        return [f"member {blend.kind}"], own[:, None].astype(np.float64)
    told = np.zeros(matrix.shape)
    if blend.weights:
        told += terms_of_sum(matrix, blend.weights)
    if blend.kind == TREES:
        told += _shap(blend, matrix)
    return _named(columns, members), told


def _shap(blend: Blend, matrix: npt.NDArray[np.float32]) -> FloatArray:
    """[p, columns] what each feature adds to the trees' sum."""
    from lightgbm import Booster

    told = Booster(model_str=blend.model).predict(matrix, pred_contrib=True, num_threads=1)
    return np.asarray(told, np.float64)[:, :-1]  # the last column is the mean of what was learned on


def _named(columns: Sequence[str], members: Sequence[str]) -> list[str]:
    """The part that each column tells of: a member's own are one part, and so are those that tell of one thing."""
    # `popularity.from_mean` compares with the user's items; the member `popularity` has score, relative and rank.
    own = {f"{member}.{kind}": member for member in members for kind in ("score", "relative", "rank")}
    heads = [column.partition(".")[0] for column in columns]
    return [
        f"member {own[column]}" if column in own else NAMES.get(head, head)
        for column, head in zip(columns, heads, strict=True)
    ]


def _summed(names: Sequence[str], told: FloatArray) -> tuple[list[str], FloatArray]:
    """The parts, and [p, parts] the sums of their terms [p, terms]."""
    parts = list(dict.fromkeys(names))
    return parts, np.column_stack([told[:, [name == part for name in names]].sum(axis=1) for part in parts])


def _largest(parts: Sequence[str], row: FloatArray) -> Parts:
    order = np.argsort(-np.abs(row), kind="stable")[:MOST]
    return [(parts[at], float(f"{row[at]:.{DIGITS}g}")) for at in order if row[at]]
