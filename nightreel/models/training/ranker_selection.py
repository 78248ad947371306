"""Choosing what ranks the candidates: lesson after lesson, what earlier ones taught is judged on the next.

So a choice rests on several moments in time, never on one, and on the order of events that a night meets: what was
learned until yesterday ranks today. The lessons also rehearse the step that a published version takes (`Steps`): are
rankers better learned once more with the newest lesson, or left as they were judged?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, WEIGHTED, Blend, weighted_sum
from nightreel.models.training import linear_rankers
from nightreel.models.training.fold_task import TimeCut
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.one_standard_error import difference, simplest, surely_better, surely_worse
from nightreel.models.training.training_examples import Examples, Validator, concatenated, validated
from nightreel.settings import Finetune
from nightreel.stage import log_progress

POPULARITY = "popularity"
MIX = "mix"
# Positions that hold their answer, below which a ranker would learn noise: the more weights, the more it takes.
LEAST_MIX, LEAST_WEIGHTED, LEAST_TREES = 20, 60, 100


@dataclass(frozen=True)
class Steps:
    """Validation NDCG@10 [n] of one ranker at the same questions, in the three ways in which a version may take a step
    in time. refitted: members and ranker know everything up to the lesson; kept: the ranker knows a lesson less;
    stale: members and ranker know a lesson less. users: [n] whose questions they are."""

    users: IntArray
    refitted: FloatArray
    kept: FloatArray
    stale: FloatArray

    @property
    def relearn(self) -> bool:
        """Whether the ranker is to be learned once more with the newest events, unless it was surely better as it
        was judged."""
        return not (len(self.users) and surely_better(self.users, self.kept, self.refitted))

    def figures(self) -> dict[str, float]:
        """Means, and the paired difference of the judged ranker over refitted members with its standard error."""
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
    """What was judged so far. users: of every judged lesson's questions; scores: ranker or member → its figures, lesson
    by lesson; steps: ranker → (refitted, kept, stale) lesson by lesson, where all three could be had."""

    users: list[IntArray] = field(default_factory=list)
    scores: dict[str, list[FloatArray]] = field(default_factory=dict)
    step_users: list[IntArray] = field(default_factory=list)
    steps: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = field(default_factory=dict)

    def add(self, users: IntArray, scores: Mapping[str, FloatArray]) -> None:
        """A lesson's figures."""
        self.users.append(users)
        for name, figures in scores.items():
            self.scores.setdefault(name, []).append(figures)

    def whole(self) -> dict[str, FloatArray]:
        """[all questions] of every ranker and member that was judged on each lesson."""
        return {name: np.concatenate(parts) for name, parts in self.scores.items() if len(parts) == len(self.users)}

    def means(self) -> dict[str, float]:
        """Mean NDCG@10 by ranker and member."""
        return {name: float(figures.mean()) if len(figures) else 0.0 for name, figures in self.whole().items()}

    def steps_of(self, name: str) -> Steps:
        """The three ways of a ranker; without questions where there were too few lessons."""
        found = self.steps.get(name, [])
        if not found:
            return Steps(np.empty(0, np.int64), *(np.empty(0) for _ in range(3)))
        return Steps(np.concatenate(self.step_users), *(np.concatenate(way) for way in zip(*found, strict=True)))


def fit_rankers(
    lessons: Sequence[Examples], members: Sequence[str], settings: Finetune, threads: int
) -> dict[str, Blend]:
    """Every ranker that these examples can teach, by name; `trees N` for each number of trees."""
    known = concatenated(lessons)
    found = {FUSION: Blend(FUSION)}
    if len(known.sizes) >= LEAST_MIX and linear_rankers.mix_columns(known.columns, members):
        found[MIX] = linear_rankers.mix(known, members)
    if len(known.sizes) >= LEAST_WEIGHTED:
        found[WEIGHTED] = linear_rankers.weighted(known, members)
    if len(known.sizes) < LEAST_TREES:
        return found
    return found | _trees(known, found[WEIGHTED], settings.trees.num_trees, settings, threads)


def fit_ranker(
    name: str, lessons: Sequence[Examples], members: Sequence[str], settings: Finetune, threads: int
) -> Blend:
    """The ranker of that name, from all of these examples."""
    kind, _, rounds = name.partition(" ")
    if kind == TREES:
        known = concatenated(lessons)
        return _trees(known, linear_rankers.weighted(known, members), [int(rounds)], settings, threads)[name]
    if kind in (MIX, WEIGHTED):
        return (linear_rankers.mix if kind == MIX else linear_rankers.weighted)(concatenated(lessons), members)
    return Blend(kind)


def _trees(known: Examples, base: Blend, rounds: Sequence[int], settings: Finetune, threads: int) -> dict[str, Blend]:
    """Trees that correct a weighted sum, which takes them fewer of the examples to learn than all of it would."""
    own = dict(zip(base.columns, base.weights, strict=True))
    weights = tuple(own.get(column, 0.0) for column in known.columns)
    start = weighted_sum(known.matrix, weights)
    texts = fit_lambdamart(known, rounds, settings.trees, settings.seed, threads, start)
    return {f"{TREES} {number}": Blend(TREES, known.columns, text, weights) for number, text in texts.items()}


def score_cut(
    board: ScoreBoard,
    engine: Engine,
    before: Engine | None,
    lesson: TimeCut,
    now: Mapping[str, Blend],
    past: Mapping[str, Blend],
    judge: Validator,
) -> None:
    """Judge rankers and members on a lesson. engine: knows all before it; before: one lesson less; now, past: rankers
    that learned from all lessons before it, and from all but the last of these."""
    asked = lesson.positions
    scores = validated(engine, asked, judge.exclude_seen, now, judge.quality)
    scores |= {name: judge.each(engine, asked, name) for name in engine.members}
    board.add(asked.users, scores)
    if past and before is not None:
        kept = validated(engine, asked, judge.exclude_seen, past, judge.quality)
        stale = validated(before, asked, judge.exclude_seen, past, judge.quality)
        board.step_users.append(asked.users)
        for name in past.keys() & now.keys():
            board.steps.setdefault(name, []).append((scores[name], kept[name], stale[name]))


def chosen_ranker(board: ScoreBoard, members: Sequence[str], *, in_time: bool) -> str:
    """The name of the ranker to take: where lessons follow each other in time the simplest personalised one within one
    standard error of the best, else the best; popularity only where that is surely worse; without a judged lesson
    fusion.

    Tomorrow differs from every lesson in time, and what is simple bears that better. Where each user's last event is
    asked for, all questions are alike, and as many as users."""
    scores = board.whole()
    users = np.concatenate(board.users) if board.users else np.empty(0, np.int64)
    if not len(users):
        return FUSION
    trees = sorted((name for name in scores if name.startswith(TREES)), key=lambda name: int(name.split(" ")[1]))
    blends = [name for name in (MIX, WEIGHTED, FUSION, *trees) if name in scores]
    personal = [name for name in members if name != POPULARITY]
    # Without enough examples to learn a ranker from, one member may be better than all of them by their ranks alone.
    alone = [] if MIX in scores or WEIGHTED in scores else sorted(personal, key=lambda name: -scores[name].mean())[:1]
    order = [*alone, *blends]
    best = simplest(users, scores, order) if in_time else max(order, key=lambda name: float(scores[name].mean()))
    if POPULARITY in scores and surely_worse(users, scores[best], scores[POPULARITY]):
        return POPULARITY
    return best


def log_scores(board: ScoreBoard, name: str) -> None:
    """Say what was chosen, and beside what."""
    means = board.means()
    best = max(means, key=lambda each: means[each])
    against = f"; popularity {means[POPULARITY]:.4f}" if POPULARITY in means else ""
    log_progress(
        f"blend: {name}, validation NDCG@10 {means[name]:.4f} over {len(board.users)} lessons; the best, {best}, "
        f"{means[best]:.4f}{against}"
    )
