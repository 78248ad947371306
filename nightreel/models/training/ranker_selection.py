"""Selection of the ranker: rankers trained on earlier time cuts are scored on the next one.

So the selection rests on several points in time, and on the order of a real night: what was trained up to yesterday
ranks today. The cuts also rehearse publication (`Steps`): is it better to retrain the ranker with the newest events, or
to publish the ranker that was scored?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, WEIGHTED, Blend, weighted_sum
from nightreel.models.training import linear_rankers
from nightreel.models.training.fold_task import TimeCut
from nightreel.models.training.going_on.earlier_selection import POPULARITY, CutRecord
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.one_standard_error import NEAR, difference, simplest, surely_better, surely_worse
from nightreel.models.training.training_examples import Examples, Validator, concatenated, validated
from nightreel.settings.finetune import Finetune
from nightreel.stage import log_progress

MIX = "mix"
NAMES = {
    MIX: "weighted sum of one model and one popularity trend",
    WEIGHTED: "weighted sum of all models",
    FUSION: "reciprocal rank fusion",
}
"""Ranker → its name in messages."""
# Minimum number of examples to train each ranker; the more weights it has, the more it needs.
LEAST_MIX, LEAST_WEIGHTED, LEAST_TREES = 20, 60, 100


@dataclass(frozen=True)
class Steps:
    """Validation NDCG@10 of one ranker on the same positions, in three ways of moving a version forward in time.

    Attributes:
        users: [n] the user of each position.
        refitted: [n] with models and ranker trained on everything before the cut.
        kept: [n] with a ranker that lacks the newest cut.
        stale: [n] with models and ranker that lack the newest cut.
    """

    users: IntArray
    refitted: FloatArray
    kept: FloatArray
    stale: FloatArray

    @property
    def relearn(self) -> bool:
        """Whether to retrain the ranker with the newest events: yes, unless the ranker as scored is surely better."""
        return not (len(self.users) and surely_better(self.users, self.kept, self.refitted))

    def figures(self) -> dict[str, float]:
        """Means, and the paired difference between keeping and refitting the ranker with its standard error."""
        if not len(self.users):
            return {}
        gap, error = difference(self.users, self.kept, self.refitted)
        return {
            "all refitted": float(self.refitted.mean()),
            "ranker as judged": float(self.kept.mean()),
            "all as judged": float(self.stale.mean()),
            "ranker as judged, difference": gap,
            "its standard error": error,
        }


@dataclass
class ScoreBoard:
    """Validation scores so far.

    Attributes:
        users: For each scored cut, the user of each position.
        scores: For each ranker and model, its NDCG@10 by cut.
        step_users: As `users`, for the cuts with `steps`.
        steps: For each ranker, (refitted, kept, stale) by cut; see `Steps`.
    """

    users: list[IntArray] = field(default_factory=list)
    scores: dict[str, list[FloatArray]] = field(default_factory=dict)
    step_users: list[IntArray] = field(default_factory=list)
    steps: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[CutRecord]) -> Self:
        """The scores of earlier nights' cuts."""
        board = cls()
        for each in records:
            if each.scores:
                board.add(each.users, each.scores)
        return board

    def add(self, users: IntArray, scores: Mapping[str, FloatArray]) -> None:
        """Add the scores of one cut."""
        self.users.append(users)
        for name, figures in scores.items():
            self.scores.setdefault(name, []).append(figures)

    def whole(self) -> dict[str, FloatArray]:
        """[positions of all cuts] NDCG@10 of every ranker and model that was scored on all cuts."""
        return {name: np.concatenate(parts) for name, parts in self.scores.items() if len(parts) == len(self.users)}

    def means(self) -> dict[str, float]:
        """Mean NDCG@10 by ranker and model."""
        return {name: float(figures.mean()) if len(figures) else 0.0 for name, figures in self.whole().items()}

    def steps_of(self, name: str) -> Steps:
        """The `Steps` of a ranker; without positions where there were too few cuts."""
        by_cut = self.steps.get(name, [])
        if not by_cut:
            return Steps(np.empty(0, np.int64), *(np.empty(0) for _ in range(3)))
        return Steps(np.concatenate(self.step_users), *(np.concatenate(way) for way in zip(*by_cut, strict=True)))


def fit_rankers(
    time_cuts: Sequence[Examples], members: Sequence[str], settings: Finetune, threads: int
) -> dict[str, Blend]:
    """Train every ranker for which there are enough examples; by name, with `trees N` for each number of trees."""
    known = concatenated(time_cuts)
    found = {FUSION: Blend(FUSION)}
    if len(known.sizes) >= LEAST_MIX and linear_rankers.mix_columns(known.columns, members):
        found[MIX] = linear_rankers.mix(known, members)
    if len(known.sizes) >= LEAST_WEIGHTED:
        found[WEIGHTED] = linear_rankers.weighted(known, members)
    if len(known.sizes) < LEAST_TREES:
        return found
    return found | _trees(known, found[WEIGHTED], settings.trees.num_trees, settings, threads)


def fit_ranker(
    name: str, time_cuts: Sequence[Examples], members: Sequence[str], settings: Finetune, threads: int
) -> Blend:
    """Train one ranker on all examples."""
    kind, _, rounds = name.partition(" ")
    if kind == TREES:
        known = concatenated(time_cuts)
        return _trees(known, linear_rankers.weighted(known, members), [int(rounds)], settings, threads)[name]
    if kind in (MIX, WEIGHTED):
        return (linear_rankers.mix if kind == MIX else linear_rankers.weighted)(concatenated(time_cuts), members)
    return Blend(kind)


def _trees(known: Examples, base: Blend, rounds: Sequence[int], settings: Finetune, threads: int) -> dict[str, Blend]:
    """Trees that correct a weighted sum, which takes fewer examples than trees alone."""
    by_column = dict(zip(base.columns, base.weights, strict=True))
    weights = tuple(by_column.get(column, 0.0) for column in known.columns)
    start = weighted_sum(known.matrix, weights)
    texts = fit_lambdamart(known, rounds, settings.trees, settings.seed, threads, start)
    return {f"{TREES} {number}": Blend(TREES, known.columns, text, weights) for number, text in texts.items()}


def score_cut(
    board: ScoreBoard,
    engine: Engine,
    before: Engine | None,
    cut: TimeCut,
    now: Mapping[str, Blend],
    past: Mapping[str, Blend],
    validator: Validator,
) -> dict[str, FloatArray]:
    """Score rankers and models on one cut, add the scores to the board, and return them.

    Args:
        board: Gets the scores.
        engine: Models trained at this cut.
        before: Models trained at the cut before; None for the first.
        cut: Whose held-out positions are scored.
        now: Rankers trained on all earlier cuts.
        past: Rankers trained on all earlier cuts but the last.
        validator: How lists are scored.
    """
    held_out = cut.positions
    scores = validated(engine, held_out, validator.exclude_seen, now, validator.quality)
    scores |= {name: validator.per_position(engine, held_out, name) for name in engine.members}
    board.add(held_out.users, scores)
    if past and before is not None:
        kept = validated(engine, held_out, validator.exclude_seen, past, validator.quality)
        stale = validated(before, held_out, validator.exclude_seen, past, validator.quality)
        board.step_users.append(held_out.users)
        for name in past.keys() & now.keys():
            board.steps.setdefault(name, []).append((scores[name], kept[name], stale[name]))
    return scores


def chosen_ranker(board: ScoreBoard, members: Sequence[str], *, in_time: bool) -> str:
    """The name of the selected ranker.

    Where cuts follow each other in time, it is the simplest personalised one within one standard error of the best,
    because simple rankers generalise better to a future that differs from every cut. Else (each user's last event is
    held out) it is the simplest that is nearly as good as the best. Popularity is selected only where that one is
    surely worse, and fusion where no cut was scored.
    """
    scores = board.whole()
    users = np.concatenate(board.users) if board.users else np.empty(0, np.int64)
    if not len(users):
        return FUSION
    trees = sorted((name for name in scores if name.startswith(TREES)), key=lambda name: int(name.split(" ")[1]))
    blends = [name for name in (MIX, WEIGHTED, FUSION, *trees) if name in scores]
    personal = [name for name in members if name != POPULARITY]
    # Without enough examples to train a ranker, a single model may be better than fusion of all.
    alone = [simplest(users, scores, personal, NEAR)] if personal and not {MIX, WEIGHTED} & scores.keys() else []
    best = simplest(users, scores, [*alone, *blends], 1.0 if in_time else NEAR)
    if POPULARITY in scores and surely_worse(users, scores[best], scores[POPULARITY]):
        return POPULARITY
    return best


def log_scores(board: ScoreBoard, name: str) -> None:
    """Log the selected ranker, the best of all, and popularity."""
    means, cuts = board.means(), len(board.users)
    best = max(means, key=lambda ranker: means[ranker])
    against = f"; popularity: {means[POPULARITY]:.4f}" if POPULARITY in means and best != POPULARITY else ""
    log_progress(
        f"selected ranker: {NAMES.get(name, name)}, validation NDCG@10 {means[name]:.4f} ({cuts} validation "
        f"cut{'' if cuts == 1 else 's'}); best of all, rankers and single models: {NAMES.get(best, best)}, "
        f"{means[best]:.4f}{against}"
    )
