"""Training heads, and which of them stay: those that tell more than their base rate on a later cut in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray
from nightreel.models.outcomes.heads import Curve, Heads, OutcomeHead
from nightreel.models.training.heads.outcome_examples import OutcomeExamples, concatenated
from nightreel.models.training.lambdamart import parameters
from nightreel.models.training.one_standard_error import difference
from nightreel.outcome_values import OUTCOMES, WANTED
from nightreel.settings.finetune import TreeSettings
from nightreel.stage import log_progress

PARTS = 3  # of the users, for calibration: each part's curve is fitted on what the trees of the others say
LEAST_LEARNED, LEAST_TESTED = 20, 5  # examples with the outcome before the last cut, and after it
LEAST_PROBABILITY = 1e-6
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeadTrial:
    """What came of one outcome's head, on the last cut.

    Attributes:
        outcome: Its name.
        examples: Examples of the last cut.
        outcomes: Those of them with the outcome.
        base_loss: Log loss of the base rate, in nats an example.
        loss: Log loss of the head that was trained on the cuts before.
        error: Standard error of the difference, by user.
        kept: Whether the head stays.
        why: Why it does not; empty where it does.
    """

    outcome: str
    examples: int
    outcomes: int
    base_loss: float
    loss: float
    error: float
    kept: bool
    why: str = ""


def fit_curve(scores: FloatArray, labels: Labels) -> Curve:
    """Fit a logistic curve that does not fall."""
    from sklearn.linear_model import LogisticRegression

    if labels.all() or not labels.any() or not np.ptp(scores):
        rate = np.clip(labels.mean(), LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
        return Curve(0.0, float(np.log(rate / (1.0 - rate))))
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(scores[:, None], labels)
    if fitted.coef_[0, 0] <= 0:
        return fit_curve(np.zeros(len(labels)), labels)
    return Curve(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def fit_head(examples: OutcomeExamples, outcome: str, settings: TreeSettings, seed: int, threads: int) -> OutcomeHead:
    """Train one head: trees on all examples, and a curve on what trees say of users whom they were not trained on."""
    labels = examples.label(outcome)
    _, user = np.unique(examples.users, return_inverse=True)
    scores = np.zeros(len(labels))
    for part in range(PARTS):
        held_out = user % PARTS == part
        if held_out.any() and labels[~held_out].any():
            own = _trees(examples.matrix[~held_out], labels[~held_out], examples.columns, settings, seed, threads)
            scores[held_out] = own.trees.predict(examples.matrix[held_out])
    whole = _trees(examples.matrix, labels, examples.columns, settings, seed, threads)
    return OutcomeHead(whole.model, fit_curve(scores, labels))


def _trees(
    matrix: npt.NDArray[np.float32],
    labels: Labels,
    columns: Sequence[str],
    settings: TreeSettings,
    seed: int,
    threads: int,
) -> OutcomeHead:
    import lightgbm

    names = [column.replace(".", "_") for column in columns]
    dataset = lightgbm.Dataset(matrix, labels.astype(np.int8), feature_name=names)
    booster = lightgbm.train(
        parameters(settings, seed, threads) | {"objective": "binary"}, dataset, num_boost_round=min(settings.num_trees)
    )
    return OutcomeHead(str(booster.model_to_string()), Curve(1.0, 0.0))


def log_loss(probability: FloatArray, labels: Labels) -> FloatArray:
    """[r] log loss of probabilities, in nats.

    Example:
        >>> log_loss(np.array([0.5, 0.5]), np.array([True, False])).round(4).tolist()
        [0.6931, 0.6931]
    """
    bounded = np.clip(probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    return np.asarray(-np.log(np.where(labels, bounded, 1.0 - bounded)), np.float64)


def try_head(
    learned: OutcomeExamples, later: OutcomeExamples, outcome: str, settings: TreeSettings, seed: int, threads: int
) -> HeadTrial:
    """Train a head on the cuts before the last one, and compare it on that one with the base rate of the cuts before.

    Args:
        learned: Examples of the cuts before.
        later: Examples of the last cut.
        outcome: Name of the outcome.
        settings: LightGBM's parameters.
        seed: Of LightGBM's sampling.
        threads: Of LightGBM.
    """
    before, labels = learned.label(outcome), later.label(outcome)
    if before.sum() < LEAST_LEARNED or labels.sum() < LEAST_TESTED:
        why = f"{before.sum():,} before the last cut and {labels.sum():,} after it are too few"
        return HeadTrial(outcome, len(labels), int(labels.sum()), 0.0, 0.0, 0.0, False, why)
    own = log_loss(fit_head(learned, outcome, settings, seed, threads).probability(later.matrix), labels)
    base = log_loss(np.full(len(labels), before.mean()), labels)
    gain, error = difference(later.users, base, own)
    why = "" if gain > error else "it tells no more than the base rate"
    figures = float(base.mean()), float(own.mean()), error
    return HeadTrial(outcome, len(labels), int(labels.sum()), *figures, not why, why)


def select_heads(
    time_cuts: Sequence[OutcomeExamples], judged: OutcomeExamples, settings: TreeSettings, seed: int, threads: int
) -> tuple[Heads | None, list[HeadTrial]]:
    """Train the head of every outcome, and keep those that tell more than their base rate.

    Args:
        time_cuts: Examples of each cut, the oldest first.
        judged: Those of the last one, with the standing by the ranker that was selected and trained before it.
        settings: LightGBM's parameters; as many trees as the least of `num_trees`.
        seed: Of LightGBM's sampling.
        threads: Of LightGBM.

    Returns:
        The heads, trained on all cuts, or None without any; and what came of each outcome.
    """
    if len(time_cuts) < 2 or not len(time_cuts[-1].users):
        return None, []
    learned, later = concatenated(time_cuts[:-1]), time_cuts[-1]
    names = [name for name in OUTCOMES if name != WANTED and name in {*learned.outcomes, *later.outcomes}]
    trials = [try_head(learned, later, name, settings, seed, threads) for name in names] if len(learned.users) else []
    every = concatenated([learned, later])
    heads = {each.outcome: fit_head(every, each.outcome, settings, seed, threads) for each in trials if each.kept}
    if trials:
        log_progress(summary(trials))
    if not heads:
        return None, trials
    return Heads(every.columns, fit_curve(judged.standing, judged.label(WANTED)), heads), trials


def summary(trials: Sequence[HeadTrial]) -> str:
    """One line for the log."""
    kept = ", ".join(
        f"{each.outcome} (log loss {each.loss:.4f}, base rate {each.base_loss:.4f})" for each in trials if each.kept
    )
    out = "; ".join(f"{each.outcome}: {each.why}" for each in trials if not each.kept)
    return f"heads: {kept or 'none'}" + (f"; left out: {out}" if out else "")
