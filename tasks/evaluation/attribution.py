"""What lifts an item above a user's other candidates: the blend's features, by the part that each has in its score.

Source: TreeSHAP, Lundberg et al. 2020 (doi:10.1038/s42256-019-0138-9), as LightGBM computes it.
"""

from __future__ import annotations

import numpy as np

from tasks.data.histories import FloatArray, IntArray
from tasks.index.slates import Question
from tasks.models.blend import TREES
from tasks.models.engine import Engine

Parts = list[tuple[str, float]]
MOST = 6  # parts told of an item
NAMES = {
    "count": "how much it is used", "trend": "how much it is used", "popularity": "how popular the user's items are",
    "age": "its age", "year": "its year", "genre": "genres", "content": "closeness in content",
    "history": "the user's pace", "gap": "the user's pace", "span": "the user's pace", "sitting": "the user's pace",
    "repeats": "taken before", "fusion": "agreement of the members",
}  # fmt: skip


def lifted(engine: Engine, question: Question, items: IntArray) -> list[Parts]:
    """Of each item, the MOST parts that set its score furthest from the mean candidate's: (part, difference), the
    largest first. Empty for what is no candidate, and for a blend that is no trees."""
    if engine.blend.kind != TREES:
        return [[] for _ in items]
    from lightgbm import Booster

    found, columns, matrix = engine.candidates(question.past, question.moments, question.exclude)
    told = np.asarray(Booster(model_str=engine.blend.model).predict(matrix, pred_contrib=True, num_threads=1))
    own = told[:, :-1] - told[:, :-1].mean(axis=0)  # the last column is the mean of what was learned on
    parts, sums = _summed(columns, tuple(engine.members), own)
    place = {int(item): at for at, item in enumerate(found.items)}
    return [_largest(parts, sums[place[int(item)]]) if int(item) in place else [] for item in items]


def _summed(columns: tuple[str, ...], members: tuple[str, ...], told: FloatArray) -> tuple[list[str], FloatArray]:
    """Names of the parts, and [p, parts]: a member's columns make one part, and so do those that tell of one thing."""
    heads = [column.partition(".")[0] for column in columns]
    # `popularity.from_mean` compares with the user's items; the member `popularity` has score, relative and rank.
    own = {f"{member}.{kind}" for member in members for kind in ("score", "relative", "rank")}
    names = [
        f"member {head}" if column in own else NAMES.get(head, head)
        for column, head in zip(columns, heads, strict=True)
    ]
    parts = list(dict.fromkeys(names))
    return parts, np.column_stack([told[:, [name == part for name in names]].sum(axis=1) for part in parts])


def _largest(parts: list[str], row: FloatArray) -> Parts:
    order = np.argsort(-np.abs(row), kind="stable")[:MOST]
    return [(parts[at], round(float(row[at]), 4)) for at in order if row[at]]
