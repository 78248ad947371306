"""All behavioural tests of a candidate, run through its reader."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, behavioral_tests
from nightreel.evaluation.behavioral.duplicate_items import duplicate_items
from nightreel.evaluation.behavioral.hidden_items import hidden_items
from nightreel.evaluation.test_set import TestSet
from nightreel.models.engine import BLEND
from nightreel.reader.reader import Reader
from nightreel.settings.evaluate import Evaluate


def run_behavioral_tests(
    trial: TestSet, candidate: Reader, genres: Sequence[Sequence[str] | None], limits: Evaluate
) -> list[BehavioralTest]:
    """Run all behavioural tests but the overlap with the champion's lists, which the gate adds.

    Args:
        trial: The test set of the gate's latest fold.
        candidate: The candidate's reader.
        genres: Of each item.
        limits: The thresholds.
    """
    return [
        *behavioral_tests(trial, candidate, BLEND, genres, steady=limits.min_perturbation_overlap),
        duplicate_items(trial, candidate.engine, least=limits.min_duplicate_agreement),
        hidden_items(trial, candidate),
    ]
