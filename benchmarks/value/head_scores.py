"""AUC and log loss of each head beside a plain LightGBM on the same rows with the same features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.table import Table

from benchmarks.value.held_out import HeldOut
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.metrics.bootstrap import Interval, draws, interval
from nightreel.models.training.heads.head_selection import Labels, fit_head, log_loss
from nightreel.models.training.heads.outcome_examples import OutcomeExamples
from nightreel.outcome_values import OUTCOMES, WANTED


@dataclass(frozen=True)
class HeadScore:
    """Figures of one outcome. ours, theirs: AUC and log loss; gap: of AUC, ours less theirs; base: log loss of the base
    rate that was learned."""

    outcome: str
    kept: bool
    learned: int
    tested: int
    ours: tuple[Interval, Interval]
    theirs: tuple[Interval, Interval]
    gap: Interval
    base: float


def auc(place: IntArray, labels: Labels, weights: FloatArray) -> float:
    """Area under the ROC curve with weights [r]; ties count half. NaN without both kinds. place: [r] number of each
    score's distinct value, ascending.

    Example:
        >>> auc(np.array([0, 1, 1, 2]), np.array([False, False, True, True]), np.ones(4))
        0.875
    """
    good = np.bincount(place, weights * labels)
    bad = np.bincount(place, weights * ~labels)
    below = np.cumsum(bad) - bad
    total = good.sum() * bad.sum()
    return float((good * (below + 0.5 * bad)).sum() / total) if total else float("nan")


def plain(learned: OutcomeExamples, outcome: str, rows: OutcomeExamples, seed: int) -> FloatArray:
    """[r] probabilities of LightGBM's classifier with its defaults."""
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(random_state=seed, n_jobs=2, verbose=-1, deterministic=True, force_col_wise=True)
    model.fit(learned.matrix, learned.label(outcome))
    return np.asarray(model.predict_proba(rows.matrix)[:, 1], np.float64)


def intervals(
    probabilities: list[FloatArray], labels: Labels, users: IntArray, replicates: int
) -> tuple[list[tuple[Interval, Interval]], Interval]:
    """AUC and log loss of each, with 95% intervals by user, and the difference of the first two AUCs."""
    _, user = np.unique(users, return_inverse=True)
    n, rng = int(user.max()) + 1, np.random.default_rng(1)
    drawn = np.concatenate([np.empty((0, n)), *draws(n, replicates, rng)])
    places = [np.unique(each, return_inverse=True)[1] for each in probabilities]
    aucs = np.array([[auc(place, labels, own[user]) for place in places] for own in drawn])
    points = [auc(place, labels, np.ones(len(labels))) for place in places]
    found = []
    for at, probability in enumerate(probabilities):
        loss = log_loss(probability, labels)
        totals = drawn @ np.column_stack([np.bincount(user, loss, minlength=n), np.bincount(user, minlength=n)])
        known = aucs[~np.isnan(aucs[:, at]), at]
        found.append((interval(points[at], known), interval(float(loss.mean()), totals[:, 0] / totals[:, 1])))
    gaps = aucs[:, 0] - aucs[:, 1]
    return found, interval(points[0] - points[1], gaps[~np.isnan(gaps)])


def measured(night: HeldOut, rows: OutcomeExamples, replicates: int) -> list[HeadScore]:
    """Every outcome that training examples and rows of the test part both have."""
    scores: list[HeadScore] = []
    heads = night.choices.heads.opened() if night.choices.heads else None
    for outcome in OUTCOMES:
        before, labels = night.learned.label(outcome), rows.label(outcome)
        if outcome == WANTED or not before.any() or not labels.any():
            continue
        kept = heads is not None and outcome in heads.by_outcome
        if heads is not None and kept:
            head = heads.by_outcome[outcome]
        else:
            head = fit_head(night.learned, outcome, night.settings.trees, night.settings.seed, 2)
        ours, theirs = head.probability(rows.matrix), plain(night.learned, outcome, rows, night.settings.seed)
        (own, other), gap = intervals([ours, theirs], labels, rows.users, replicates)
        base = float(log_loss(np.full(len(labels), before.mean()), labels).mean())
        scores.append(HeadScore(outcome, kept, int(before.sum()), int(labels.sum()), own, other, gap, base))
    return scores


def spelled(value: Interval, form: str) -> str:
    """A figure with its interval, printed."""
    return f"{value.point:{form}} [{value.low:{form}}, {value.high:{form}}]"


def table_of(scores: list[HeadScore], rows: int, users: int) -> Table:
    """One row an outcome."""
    table = Table(title=f"Heads on the test part: {rows:,} rows of {users:,} users, with 95% intervals by user")
    for name in ("outcome", "in use", "learned from", "in the test", "AUC: head", "plain LightGBM", "difference",
                 "log loss: head", "plain LightGBM", "base rate"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("outcome", "in use") else "right")
    for each in scores:
        (ours, loss), (theirs, their_loss) = each.ours, each.theirs
        table.add_row(
            each.outcome, "yes" if each.kept else "left out", f"{each.learned:,}", f"{each.tested:,}",
            spelled(ours, ".3f"), spelled(theirs, ".3f"), spelled(each.gap, "+.3f"),
            spelled(loss, ".4f"), spelled(their_loss, ".4f"), f"{each.base:.4f}",
        )  # fmt: skip
    return table
