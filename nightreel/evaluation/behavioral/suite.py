"""Every behavioural test of a candidate, asked through its reader."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, behavioral_tests
from nightreel.evaluation.behavioral.duplicate_items import duplicate_items
from nightreel.evaluation.behavioral.hidden_items import hidden_items
from nightreel.evaluation.test_set import TestSet
from nightreel.models.engine import BLEND
from nightreel.reader.reader import Reader
from nightreel.settings import Evaluate


def run_behavioral_tests(
    trial: TestSet, candidate: Reader, genres: Sequence[Sequence[str] | None], limits: Evaluate
) -> list[BehavioralTest]:
    """genres: of each item. What compares nights is told apart: it needs the champion's lists."""
    return [
        *behavioral_tests(trial, candidate, BLEND, genres, steady=limits.min_perturbation_overlap),
        duplicate_items(trial, candidate.engine, least=limits.min_duplicate_agreement),
        hidden_items(trial, candidate),
    ]
