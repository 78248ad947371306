"""Heads of a fold's task: their examples at each cut in time, and their selection on the last one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightreel.models.engine import Engine
from nightreel.models.outcomes.heads import Heads
from nightreel.models.training.fold_task import Task, TimeCut
from nightreel.models.training.heads.head_selection import HeadTrial, select_heads
from nightreel.models.training.heads.outcome_examples import (
    MetItems,
    OutcomeExamples,
    concatenated,
    outcome_examples,
)
from nightreel.models.training.training_examples import Validator
from nightreel.settings.finetune import Finetune

Span = tuple[float, float]


def examples_of_heads(
    task: Task, cut: TimeCut, span: Span, engine: Engine, settings: Finetune, validator: Validator
) -> OutcomeExamples | None:
    """Examples of one cut; None where the log has no outcomes. They have a random generator of their own, so that the
    ranker's examples are the same with and without them.

    Args:
        task: The fold's task.
        cut: The cut.
        span: Beginning and end of the cut's period, epoch seconds.
        engine: Models that were trained at the cut.
        settings: The section `finetune`.
        validator: How lists are scored.
    """
    if task.outcomes is None:
        return None
    generator, (start, end) = np.random.default_rng(settings.seed), span
    end = np.inf if cut is task.time_cuts[-1] else end  # the last period ends with the log, whose last event is in it
    met = MetItems.of(task.outcomes, cut.known, start, end, settings.validation_users, generator)
    return outcome_examples(engine, cut.known, met, start, validator.exclude_seen, generator)


def chosen_heads(
    task: Task,
    time_cuts: Sequence[OutcomeExamples | None],
    span: Span,
    scored: Engine,
    settings: Finetune,
    validator: Validator,
) -> tuple[Heads | None, list[HeadTrial]]:
    """Select the heads; see `select_heads`.

    Args:
        task: The fold's task.
        time_cuts: Examples of all cuts, the oldest first.
        span: Of the newest cut.
        scored: The newest cut's models, with the ranker whose scores P(wanted) is made of.
        settings: The section `finetune`.
        validator: How lists are scored.
    """
    known = [each for each in time_cuts if each is not None]
    if len(known) < 2 or time_cuts[-1] is None:
        return None, []
    judged = examples_of_heads(task, task.time_cuts[-1], span, scored, settings, validator)
    return select_heads(known, judged or known[-1], settings.trees, settings.seed, validator.threads)


def joined_outcomes(time_cuts: Sequence[OutcomeExamples | None]) -> OutcomeExamples | None:
    """The examples of all cuts; None where the log has no outcomes."""
    known = [each for each in time_cuts if each is not None]
    return concatenated(known) if known else None
