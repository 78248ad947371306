"""Selection on validation: hyper-parameters of each model, then the ranker. The result is frozen as SelectedParams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from nightreel.data.histories import FloatArray
from nightreel.models.base import Catalogue, Recommender
from nightreel.models.config import ModelConfig
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, TREES, Blend
from nightreel.models.registry import spec
from nightreel.models.training.fit import Ready, Starting, WarmStart, fit_engine, fit_member
from nightreel.models.training.fold_task import Task, TimeCut, limited
from nightreel.models.training.going_on.earlier_selection import POPULARITY, CutRecord, EarlierSelection
from nightreel.models.training.heads.head_selection import HeadTrial
from nightreel.models.training.heads.heads_of_cuts import chosen_heads, examples_of_heads, joined_outcomes
from nightreel.models.training.heads.outcome_examples import OutcomeExamples
from nightreel.models.training.new_item_places import places_kept
from nightreel.models.training.one_standard_error import NEAR, PositionScores, simplest
from nightreel.models.training.ranker_selection import (
    ScoreBoard,
    Steps,
    chosen_ranker,
    fit_ranker,
    fit_rankers,
    log_scores,
    score_cut,
)
from nightreel.models.training.selected_params import HeadsParams, Moment, SelectedParams
from nightreel.models.training.training_examples import Examples, Validator, asked_for, concatenated
from nightreel.models.training.training_positions import Positions
from nightreel.settings.finetune import Finetune
from nightreel.stage import log_progress

Trial = dict[str, str | float]


@dataclass(frozen=True)
class Learned:
    """The result of selection.

    Attributes:
        choices: Selected hyper-parameters and ranker.
        scores: Validation NDCG@10 by model and ranker.
        trials: One row for each hyper-parameter setting that was tried.
        curve: Validation NDCG@10 by number of trees.
        engine: Models trained at the last cut, from which the candidate's are warm-started; where no cut was left to be
            trained, those that it would have been started from, if any.
        inner: Models trained at the first cut; None where no cut was left to be trained.
        examples: Training examples of the ranker, from all cuts.
        steps: Comparison of refitting with keeping the ranker.
        selection: What the next night may go on from.
        ratings: One row for each setting of the rating model that was tried.
        heads: One row for each outcome whose head was tried.
        outcomes: Training examples of the heads, from all cuts; None where the log has no outcomes.
    """

    choices: SelectedParams
    scores: dict[str, float]
    trials: list[Trial]
    curve: list[dict[str, float]]
    engine: Engine | WarmStart | None
    inner: Engine | None
    examples: Examples
    steps: Steps
    selection: EarlierSelection
    ratings: list[Trial] = field(default_factory=list)
    heads: list[Trial] = field(default_factory=list)
    outcomes: OutcomeExamples | None = None


@dataclass(frozen=True)
class TriedMember:
    """The settings of one model that were tried. best: the selected one; scores: its own; trials: a row for each."""

    best: ModelConfig
    scores: PositionScores
    trials: list[Trial]


def choose_member(
    name: str,
    grid: Sequence[ModelConfig],
    score: Callable[[Sequence[Recommender]], PositionScores],
    fit: Callable[[ModelConfig], Sequence[Recommender]],
) -> TriedMember:
    """Select the best setting of one model. Settings that differ only in scoring parameters share one fit.

    Args:
        name: Of the model.
        grid: Settings to try; of nearly equal ones the first is selected.
        score: Scores fitted models, one for each cut.
        fit: Fits the model at every cut.
    """
    scores: dict[str, PositionScores] = {}
    fitted: tuple[dict[str, float], Sequence[Recommender]] | None = None
    for config in sorted(grid, key=lambda config: sorted(config.fitting_params().items())):
        params = config.fitting_params()
        if fitted is None or fitted[0] != params:
            fitted = params, fit(config)
        scores[str(config)] = score([member.with_scoring_params(config) for member in fitted[1]])
    by_name = {str(config): config for config in grid}
    users = next(iter(scores.values())).users
    best = simplest(users, {setting: each.ndcg for setting, each in scores.items()}, list(by_name), NEAR)
    # A half-life of 100,000 days counts all events alike.
    shown = best.replace("half_life_days 100000", "all-time popularity")
    log_progress(f"{name}: validation NDCG@10 {scores[best].mean:.4f} with {shown}")
    trials: list[Trial] = [
        {"member": name, "setting": setting, "ndcg@10": each.mean} for setting, each in scores.items()
    ]
    return TriedMember(by_name[best], scores[best], trials)


def choose_members(
    task: Task, catalogue: Catalogue, base: SelectedParams, settings: Finetune, validator: Validator
) -> tuple[dict[str, dict[str, float]], list[Trial]]:
    """Select the best setting of each model on validation; also a row for each that was tried. A single one is not
    tried."""
    chosen: dict[str, dict[str, float]] = {}
    trials: list[Trial] = []
    single = [name for name, values in settings.members.items() if len(spec(name).grid(values)) == 1]
    if single:
        log_progress(f"{', '.join(single)}: one setting each, no search")
    for name, values in settings.members.items():
        grid = spec(name).grid(values)
        tried = try_member(name, task, catalogue, base, settings, validator) if len(grid) > 1 else None
        chosen[name] = (tried.best if tried else grid[0]).hyper_params()
        trials += tried.trials if tried else []
    return chosen, trials


def try_member(
    name: str, task: Task, catalogue: Catalogue, base: SelectedParams, settings: Finetune, validator: Validator
) -> TriedMember:
    """Select one model's best setting on the cuts for hyper-parameters.

    Popularity is scored on newcomers as well, because it is what they get.
    """
    bare = [fit_engine(cut.known, catalogue, base, clock=validator.clock) for cut in task.tried]

    def score(members: Sequence[Recommender]) -> PositionScores:
        parts = [
            validator.per_position(replace(engine, members={name: member}), positions, name)
            for engine, member, cut in zip(bare, members, task.tried, strict=True)
            for positions in _positions(cut, name)
        ]
        users = [positions.users for cut in task.tried for positions in _positions(cut, name)]
        return PositionScores(np.concatenate([*users, np.empty(0, np.int64)]), np.concatenate([*parts, np.empty(0)]))

    def fit(config: ModelConfig) -> list[Recommender]:
        smaller = base.completed(config.capped(settings.search_items))
        return [fit_member(name, cut.known, catalogue, smaller, clock=validator.clock) for cut in task.tried]

    return choose_member(name, spec(name).grid(settings.members[name]), score, fit)


def _positions(cut: TimeCut, name: str) -> list[Positions]:
    """The cut's held-out positions that a model is scored on."""
    alike = name == POPULARITY and cut.newcomers is not None
    return [cut.positions, cut.newcomers] if alike and cut.newcomers else [cut.positions]


def choose_blend(
    task: Task,
    catalogue: Catalogue,
    base: SelectedParams,
    settings: Finetune,
    validator: Validator,
    start: WarmStart | None = None,
    ready: Ready = lambda *_: None,
    earlier: EarlierSelection | None = None,
) -> Learned:
    """Select the ranker by scoring it cut after cut, and train it on the examples of all cuts.

    Args:
        task: The fold's task.
        catalogue: The items.
        base: Selected hyper-parameters of the models.
        settings: The section `finetune`.
        validator: How lists are scored.
        start: Models to warm-start the first cut's from, or None.
        ready: Gives models that another process has already trained.
        earlier: Records of earlier nights' cuts, beside which only tonight's newest one is trained, unless it is among
            them; None: all cuts anew.
    """
    spans = task.spans()
    records: list[CutRecord] = []
    if earlier is not None and earlier.cuts:
        spans, records = [] if earlier.whole else spans[-1:], list(earlier.cuts)
    board, engines, rankers = ScoreBoard.of(records), list[Engine](), list[dict[str, Blend]]()
    generator, members = np.random.default_rng(settings.seed), tuple(sorted(base.members))
    for number, (cut, begin, end) in enumerate(spans, 1):
        log_progress(f"validation cut {number} of {len(spans)}: training the models on {len(cut.known.items):,} events")
        before = engines[-1] if engines else None
        engine = fit_engine(cut.known, catalogue, base, clock=validator.clock, start=before or start, ready=ready)
        scores: dict[str, FloatArray] = {}
        if records:
            rankers.append(fit_rankers([each.examples for each in records], members, settings, validator.threads))
            past = rankers[-2] if len(rankers) > 1 else {}
            scores = score_cut(board, engine, before, cut, rankers[-1], past, validator)
        examples = asked_for(engine, cut.positions, validator.exclude_seen, settings.negatives, generator)
        outcomes = examples_of_heads(task, cut, (begin, end), engine, settings, validator)
        records.append(CutRecord(begin, end, examples, cut.positions.users, scores, outcomes))
        engines = [*engines[:1], engine] if engines else [engine]
    learned = _selected(task, base, settings, validator, board, records, engines, rankers, earlier)
    return learned if engines else replace(learned, engine=start)


def _selected(
    task: Task,
    base: SelectedParams,
    settings: Finetune,
    validator: Validator,
    board: ScoreBoard,
    records: list[CutRecord],
    engines: list[Engine],
    rankers: list[dict[str, Blend]],
    earlier: EarlierSelection | None,
) -> Learned:
    """The ranker that scored best, trained on the examples of all records."""
    members, examples = tuple(sorted(base.members)), [each.examples for each in records]
    name = chosen_ranker(board, members, in_time=task.in_time)
    log_scores(board, name)
    steps = board.steps_of(name)
    relearn = earlier.relearn if earlier is not None and not len(steps.users) else steps.relearn
    kept = examples if relearn or len(examples) < 2 else examples[:-1]
    blend = fit_ranker(name, kept, members, settings, validator.threads)
    scored = replace(engines[-1], blend=rankers[-1][name]) if rankers and name in rankers[-1] else None
    every = _places(task, scored, settings.new_every, validator, earlier)
    final = base.model_copy(
        update={
            "blend": blend.kind,
            "columns": blend.columns,
            "new_every": every,
            "trees": blend.model,
            "weights": blend.weights,
            "ranker": name,
            "relearn": validator.clock and task.in_time and relearn,
        }
    )
    outcomes, span = [each.outcomes for each in records], (records[-1].start, records[-1].end)
    heads, outcome_trials = earlier.heads if earlier is not None and earlier.whole else None, list[HeadTrial]()
    if engines:
        judge = scored or replace(engines[-1], blend=blend)
        found, outcome_trials = chosen_heads(task, outcomes, span, judge, settings, validator)
        heads = HeadsParams.of(found) if found else None
    final = final.model_copy(update={"heads": heads})
    nights = 0 if earlier is None else earlier.nights + 1
    selection = EarlierSelection(
        nights,
        base.members,
        name,
        relearn,
        every,
        tuple(each for each in records if task.in_time and len(each.users)),
        heads,
    )
    first, last = (engines[0], engines[-1]) if engines else (None, None)
    return Learned(
        final,
        board.means(),
        [],
        curve(board),
        last,
        first,
        concatenated(examples),
        steps,
        selection,
        heads=[asdict(each) for each in outcome_trials],
        outcomes=joined_outcomes(outcomes),
    )


def _places(
    task: Task, scored: Engine | None, every: int, validator: Validator, earlier: EarlierSelection | None
) -> int:
    """Every so-many-th place of a list is kept for a new item: by the newest cut, or as before where none was
    trained."""
    whole = earlier is not None and earlier.whole
    return earlier.new_every if earlier is not None and whole else places_kept(scored, task.valid, every, validator)


def curve(board: ScoreBoard) -> list[dict[str, float]]:
    """Validation NDCG@10 by number of trees."""
    by_trees = {name: mean for name, mean in board.means().items() if name.startswith(f"{TREES} ")}
    return [{"trees": float(name.split(" ")[1]), "ndcg@10": mean} for name, mean in by_trees.items()]


def initial_params(settings: Finetune, encoder: str, moment: Moment) -> SelectedParams:
    """The parameters that params.yaml fixes, before anything is selected."""
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
    validator: Validator,
    start: Starting = lambda _: None,
    ready: Ready = lambda *_: None,
    earlier: EarlierSelection | None = None,
) -> Learned:
    """Select the models' hyper-parameters, then the ranker.

    Args:
        task: The fold's task.
        catalogue: The items.
        settings: The section `finetune`.
        base: From `initial_params`.
        validator: How lists are scored.
        start: Gives the models to warm-start from, once hyper-parameters are selected.
        ready: Gives models that another process has already trained.
        earlier: The selection of an earlier night to go on from; None: everything is selected anew.
    """
    settings = settings.sized(len(task.train.items))
    generator = np.random.default_rng(settings.seed)
    smaller = limited(task, settings.validation_users, settings.positions, generator)
    if earlier is not None:
        chosen = base.model_copy(update={"members": earlier.members})
        learned = choose_blend(smaller, catalogue, chosen, settings, validator, start(chosen), ready, earlier)
        if not learned.selection.cuts or not earlier.fallen(learned.selection.cuts[-1]):
            return learned
        log_progress("the lead over popularity has fallen: everything is selected anew")
    members, trials = choose_members(smaller, catalogue, base, settings, validator)
    chosen = base.model_copy(update={"members": members})
    # A state for the newest cut may have seen what the first one holds out.
    begun = start(chosen) if earlier is None else None
    return replace(choose_blend(smaller, catalogue, chosen, settings, validator, begun, ready), trials=trials)
