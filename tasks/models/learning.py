"""Choosing on validation: members' hyper-parameters, then the blend. What is learned here is frozen as Choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from tasks.data.histories import FloatArray, Histories, ItemArray
from tasks.models.blend import FUSION, TREES, Blend
from tasks.models.choices import Choices, Moment
from tasks.models.engine import BLEND, Engine
from tasks.models.members import MEMBERS
from tasks.models.positions import Positions
from tasks.models.protocol import Catalogue, Hyper, Recommender, combinations
from tasks.models.ranking import Examples, asked_for, learn_trees, together
from tasks.models.task import Task
from tasks.models.training import Ready, Start, Starting, fit_engine, fit_member
from tasks.settings import Finetune, Member
from tasks.stage import say

Trial = dict[str, str | float]
Quality = Callable[[ItemArray, Histories], FloatArray]
"""[n, k] lists and n rows of targets → [n] NDCG@10."""
LEAST_EXAMPLES = 100  # positions that hold their answer, below which trees would learn noise


@dataclass(frozen=True)
class Learned:
    """choices; scores: validation NDCG@10 by model; trials: one row per setting tried; curve: by number of trees;
    engine: trained on the task's train, with a blend that the trees may replace; inner: trained on the task's inner,
    None where there were too few earlier positions; ratings: settings of the rating head that were tried."""

    choices: Choices
    scores: dict[str, float]
    trials: list[Trial]
    curve: list[dict[str, float]]
    engine: Engine
    inner: Engine | None
    ratings: list[Trial] = field(default_factory=list)


@dataclass(frozen=True)
class Judge:
    """How lists are judged in this data set. threads: for the trees' learner."""

    quality: Quality
    exclude_seen: bool
    clock: bool
    threads: int

    def mean(self, engine: Engine, positions: Positions, model: str) -> float:
        """Mean NDCG@10 of a model's lists at the positions; 0 where there are none."""
        if not len(positions):
            return 0.0
        exclude = positions.histories if self.exclude_seen else None
        lists, _ = engine.top_k(positions.histories, positions.moments, 10, exclude=exclude, hidden=None, model=model)
        return float(self.quality(lists, positions.targets).mean())


def choose_member(
    name: str, grid: list[Hyper], ask: Callable[[Recommender], float], fit: Callable[[Hyper], Recommender]
) -> tuple[Hyper, list[Trial]]:
    """The best setting of one member, and all that were tried; settings that differ in asking alone share a fit."""
    cls = MEMBERS[name]
    trials: list[Trial] = []
    best, chosen = -1.0, grid[0]
    fitted: tuple[Hyper, Recommender] | None = None
    for hyper in sorted(grid, key=lambda hyper: [hyper[key] for key in sorted(hyper.keys() - cls.asked_with)]):
        learned = {key: value for key, value in hyper.items() if key not in cls.asked_with}
        if fitted is None or fitted[0] != learned:
            fitted = learned, fit(hyper)
        score = ask(fitted[1].asking(hyper))
        trials.append({"member": name, "setting": described(hyper), "ndcg@10": score})
        if score > best:
            best, chosen = score, hyper
    say(f"{name}: validation NDCG@10 {best:.4f} with {described(chosen)}")
    return chosen, trials


def choose_members(
    task: Task, catalogue: Catalogue, base: Choices, settings: Finetune, judge: Judge
) -> tuple[dict[str, dict[str, float]], list[Trial]]:
    """The best setting of each member on validation, and all that were tried; a member with one is not tried."""
    chosen: dict[str, dict[str, float]] = {}
    trials: list[Trial] = []
    for name, values in settings.members.items():
        grid = combinations(values)
        best, tried = (grid[0], []) if len(grid) == 1 else try_member(name, task, catalogue, base, settings, judge)
        chosen[name] = dict(best)
        trials += tried
    return chosen, trials


def try_member(
    name: Member, task: Task, catalogue: Catalogue, base: Choices, settings: Finetune, judge: Judge
) -> tuple[Hyper, list[Trial]]:
    """One member's best setting on validation, and all that were tried."""
    bare = fit_engine(task.train, catalogue, base, clock=judge.clock)

    def ask(member: Recommender) -> float:
        return judge.mean(replace(bare, members={name: member}), task.valid, name)

    def fit(hyper: Hyper) -> Recommender:
        capped_hyper = capped(hyper, settings.search_items)
        return fit_member(name, task.train, catalogue, capped_hyper, clock=judge.clock, backbone=base.backbone)

    return choose_member(name, combinations(settings.members[name]), ask, fit)


def capped(hyper: Hyper, items: int) -> Hyper:
    """The same setting over at most so many items: what is best on the most used ones is best on all."""
    return {**hyper, "max_items": min(hyper["max_items"], items)} if "max_items" in hyper else hyper


def described(hyper: Hyper) -> str:
    """`decay 10, keep 512`."""
    return ", ".join(f"{name} {value:g}" for name, value in hyper.items())


def choose_trees(
    outer: Engine, earlier: Examples, task: Task, settings: Finetune, judge: Judge
) -> tuple[int, list[dict[str, float]]]:
    """The number of trees that ranks validation best, and the whole curve; learned on earlier positions alone."""
    curve = []
    texts = learn_trees(earlier, settings.trees.rounds, settings.trees, settings.seed, judge.threads)
    for rounds, text in texts.items():
        engine = replace(outer, blend=Blend(TREES, earlier.columns, text))
        curve.append({"trees": float(rounds), "ndcg@10": judge.mean(engine, task.valid, BLEND)})
    best = max(curve, key=lambda row: row["ndcg@10"])
    return int(best["trees"]), curve


def choose_blend(
    task: Task, catalogue: Catalogue, base: Choices, settings: Finetune, judge: Judge, start: Start | None = None,
    ready: Ready = lambda *_: None,
) -> Learned:  # fmt: skip
    """Trees, fusion or a single member, whichever ranks validation best; the trees then learn from validation too.

    start: what learned from a part of the task's inner, if anything did.
    """
    enough = len(task.earlier) >= LEAST_EXAMPLES
    inner = fit_engine(task.inner, catalogue, base, clock=judge.clock, start=start) if enough else None
    outer = fit_engine(task.train, catalogue, base, clock=judge.clock, start=inner, ready=ready)
    scores = {name: judge.mean(outer, task.valid, name) for name in base.members}
    scores[FUSION] = judge.mean(outer, task.valid, BLEND)
    best = max(scores, key=lambda name: scores[name])
    simple = base.model_copy(update={"blend": best})
    few = f"too few positions with their answer among the candidates to learn trees from; {best} ranks instead"
    if inner is None:
        say(f"blend: {len(task.earlier)} are {few}")
        return Learned(simple, scores, [], [], outer, inner)
    generator = np.random.default_rng(settings.seed)
    earlier = asked_for(inner, task.earlier, judge.exclude_seen, settings.negatives, generator)
    if len(earlier.sizes) < LEAST_EXAMPLES:
        say(f"blend: {len(earlier.sizes)} are {few}")
        return Learned(simple, scores, [], [], outer, inner)
    rounds, curve = choose_trees(outer, earlier, task, settings, judge)
    scores[TREES] = max(row["ndcg@10"] for row in curve)
    say(f"blend: {rounds} trees, validation NDCG@10 {scores[TREES]:.4f}; {best} alone {scores[best]:.4f}")
    if scores[TREES] <= scores[best]:
        return Learned(simple, scores, [], curve, outer, inner)
    late = asked_for(inner, task.valid, judge.exclude_seen, settings.negatives, generator)
    both = together([earlier, late])
    text = learn_trees(both, [rounds], settings.trees, settings.seed, judge.threads)[rounds]
    final = base.model_copy(update={"blend": TREES, "columns": both.columns, "trees": text})
    return Learned(final, scores, [], curve, outer, inner)


def untrained(settings: Finetune, encoder: str, moment: Moment) -> Choices:
    """Choices before anything is chosen: what params.yaml fixes."""
    return Choices.model_validate({
        "members": {}, "blend": FUSION, "columns": (), "cutoff": settings.candidates,
        "shortlist": settings.shortlist,
        "half_life_days": settings.half_life_days, "buckets": settings.buckets, "encoder": encoder, "moment": moment,
        "backbone": settings.backbone if settings.backbone.model else None,
    })  # fmt: skip


def sampled(positions: Positions, most: int, generator: np.random.Generator) -> Positions:
    """At most `most` positions, drawn at random, in their order."""
    if len(positions) <= most:
        return positions
    return positions.take(np.sort(generator.choice(len(positions), most, replace=False)))


def learn(
    task: Task, catalogue: Catalogue, settings: Finetune, base: Choices, judge: Judge,
    start: Starting = lambda _: None, ready: Ready = lambda *_: None,
) -> Learned:  # fmt: skip
    """Members first, then the blend over them."""
    settings = settings.sized(len(task.train.items))
    generator = np.random.default_rng(settings.seed)
    limited = replace(
        task,
        valid=sampled(task.valid, settings.validation_users, generator),
        earlier=sampled(task.earlier, settings.validation_users * settings.positions, generator),
    )
    members, trials = choose_members(limited, catalogue, base, settings, judge)
    chosen = base.model_copy(update={"members": members})
    return replace(choose_blend(limited, catalogue, chosen, settings, judge, start(chosen), ready), trials=trials)
