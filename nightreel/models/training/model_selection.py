"""Choosing on validation: members' hyper-parameters, then the blend. What is learned here is frozen as Choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nightreel.models.base import Catalogue, Recommender
from nightreel.models.config import ModelConfig
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, Blend
from nightreel.models.registry import spec
from nightreel.models.training.fit import Ready, Starting, WarmStart, fit_engine, fit_member
from nightreel.models.training.fold_task import Task, TimeCut, limited
from nightreel.models.training.ranker_selection import (
    POPULARITY,
    ScoreBoard,
    Steps,
    chosen_ranker,
    fit_ranker,
    fit_rankers,
    log_scores,
    score_cut,
)
from nightreel.models.training.selected_params import Moment, SelectedParams
from nightreel.models.training.training_examples import Examples, Validator, asked_for, concatenated
from nightreel.models.training.training_positions import Positions
from nightreel.settings import Finetune
from nightreel.stage import log_progress

Trial = dict[str, str | float]


@dataclass(frozen=True)
class Learned:
    """choices; scores: validation NDCG@10 by model; trials: one row per setting tried; curve: by number of trees;
    engine: knows what the last lesson knows; inner: what the first one knows; examples: of all lessons; steps: the
    ways in which a published version may take a step in time; ratings: settings of the rating head that were tried."""

    choices: SelectedParams
    scores: dict[str, float]
    trials: list[Trial]
    curve: list[dict[str, float]]
    engine: Engine
    inner: Engine
    examples: Examples
    steps: Steps
    ratings: list[Trial] = field(default_factory=list)


def choose_member(
    name: str,
    grid: Sequence[ModelConfig],
    ask: Callable[[Sequence[Recommender]], float],
    fit: Callable[[ModelConfig], Sequence[Recommender]],
) -> tuple[ModelConfig, list[Trial]]:
    """The best setting of one member, and all that were tried; settings that differ in asking alone share a fit. fit:
    gives one member a lesson."""
    trials: list[Trial] = []
    best, chosen = -1.0, grid[0]
    fitted: tuple[dict[str, float], Sequence[Recommender]] | None = None
    for config in sorted(grid, key=lambda config: sorted(config.fitting_params().items())):
        params = config.fitting_params()
        if fitted is None or fitted[0] != params:
            fitted = params, fit(config)
        score = ask([member.with_scoring_params(config) for member in fitted[1]])
        trials.append({"member": name, "setting": str(config), "ndcg@10": score})
        if score > best:
            best, chosen = score, config
    log_progress(f"{name}: validation NDCG@10 {best:.4f} with {chosen}")
    return chosen, trials


def choose_members(
    task: Task, catalogue: Catalogue, base: SelectedParams, settings: Finetune, judge: Validator
) -> tuple[dict[str, dict[str, float]], list[Trial]]:
    """The best setting of each member on validation, and all that were tried; a member with one is not tried."""
    chosen: dict[str, dict[str, float]] = {}
    trials: list[Trial] = []
    for name, values in settings.members.items():
        grid = spec(name).grid(values)
        best, tried = (grid[0], []) if len(grid) == 1 else try_member(name, task, catalogue, base, settings, judge)
        chosen[name] = best.model_dump()
        trials += tried
    return chosen, trials


def try_member(
    name: str, task: Task, catalogue: Catalogue, base: SelectedParams, settings: Finetune, judge: Validator
) -> tuple[ModelConfig, list[Trial]]:
    """One member's best setting on validation (the lessons on which settings are tried), and all that were tried.
    Popularity answers newcomers, too, and is chosen for everybody."""
    bare = [fit_engine(lesson.known, catalogue, base, clock=judge.clock) for lesson in task.tried]

    def ask(members: Sequence[Recommender]) -> float:
        found = [
            judge.each(replace(engine, members={name: member}), positions, name)
            for engine, member, lesson in zip(bare, members, task.tried, strict=True)
            for positions in _asked(lesson, name)
        ]
        figures = np.concatenate([*found, np.empty(0)])
        return float(figures.mean()) if len(figures) else 0.0

    def fit(config: ModelConfig) -> list[Recommender]:
        smaller = config.capped(settings.search_items)
        return [
            fit_member(name, lesson.known, catalogue, smaller, clock=judge.clock, backbone=base.backbone)
            for lesson in task.tried
        ]

    return choose_member(name, spec(name).grid(settings.members[name]), ask, fit)


def _asked(lesson: TimeCut, name: str) -> list[Positions]:
    """The lesson's questions that a member is judged by."""
    alike = name == POPULARITY and lesson.newcomers is not None
    return [lesson.positions, lesson.newcomers] if alike and lesson.newcomers else [lesson.positions]


def choose_blend(
    task: Task,
    catalogue: Catalogue,
    base: SelectedParams,
    settings: Finetune,
    judge: Validator,
    start: WarmStart | None = None,
    ready: Ready = lambda *_: None,
) -> Learned:
    """What ranks the candidates, judged lesson after lesson; it then learns from the last lesson, too.

    start: what learned with the same choices from a part of the first lesson, if anything did.
    """
    board, examples = ScoreBoard(), list[Examples]()
    engines, rankers = list[Engine](), list[dict[str, Blend]]()
    generator, members = np.random.default_rng(settings.seed), tuple(sorted(base.members))
    for lesson in task.lessons:
        before = engines[-1] if engines else None
        engine = fit_engine(lesson.known, catalogue, base, clock=judge.clock, start=before or start, ready=ready)
        if before is not None:
            rankers.append(fit_rankers(examples, members, settings, judge.threads))
            past = rankers[-2] if len(rankers) > 1 else {}
            score_cut(board, engine, before, lesson, rankers[-1], past, judge)
        examples.append(asked_for(engine, lesson.positions, judge.exclude_seen, settings.negatives, generator))
        engines = [*engines[:1], engine] if engines else [engine]
    name = chosen_ranker(board, members, in_time=task.in_time)
    log_scores(board, name)
    steps = board.steps_of(name)
    kept = examples if steps.relearn or len(examples) < 2 else examples[:-1]
    blend = fit_ranker(name, kept, members, settings, judge.threads)
    final = base.model_copy(
        update={
            "blend": blend.kind,
            "columns": blend.columns,
            "trees": blend.model,
            "weights": blend.weights,
            "ranker": name,
            "relearn": judge.clock and task.in_time and steps.relearn,
        }
    )
    return Learned(final, board.means(), [], curve(board), engines[-1], engines[0], concatenated(examples), steps)


def curve(board: ScoreBoard) -> list[dict[str, float]]:
    """Validation NDCG@10 by number of trees."""
    found = {name: mean for name, mean in board.means().items() if name.startswith(f"{TREES} ")}
    return [{"trees": float(name.split(" ")[1]), "ndcg@10": mean} for name, mean in found.items()]


def initial_params(settings: Finetune, encoder: str, moment: Moment) -> SelectedParams:
    """Choices before anything is chosen: what params.yaml fixes."""
    return SelectedParams.model_validate(
        {
            "members": {},
            "blend": FUSION,
            "columns": (),
            "cutoff": settings.candidates,
            "shortlist": settings.shortlist,
            "half_life_days": settings.half_life_days,
            "buckets": settings.buckets,
            "encoder": encoder,
            "moment": moment,
            "backbone": settings.backbone if settings.backbone.model else None,
        }
    )


def select_models(
    task: Task,
    catalogue: Catalogue,
    settings: Finetune,
    base: SelectedParams,
    judge: Validator,
    start: Starting = lambda _: None,
    ready: Ready = lambda *_: None,
) -> Learned:
    """Members first, then the blend over them."""
    settings = settings.sized(len(task.train.items))
    generator = np.random.default_rng(settings.seed)
    smaller = limited(task, settings.validation_users, settings.positions, generator)
    members, trials = choose_members(smaller, catalogue, base, settings, judge)
    chosen = base.model_copy(update={"members": members})
    return replace(choose_blend(smaller, catalogue, chosen, settings, judge, start(chosen), ready), trials=trials)
