"""Every behavioural test of a candidate, asked through its reader."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.evaluation.behavioral.behavioral_test import Behaviour, behaviours
from nightreel.evaluation.behavioral.duplicate_items import twins
from nightreel.evaluation.behavioral.hidden_items import withdrawn
from nightreel.evaluation.test_set import Trial
from nightreel.models.engine import BLEND
from nightreel.reader.reader import Reader
from nightreel.settings import Evaluate


def conduct(
    trial: Trial, candidate: Reader, genres: Sequence[Sequence[str] | None], limits: Evaluate
) -> list[Behaviour]:
    """genres: of each item. What compares nights is told apart: it needs the champion's lists."""
    return [
        *behaviours(trial, candidate, BLEND, genres, steady=limits.steady),
        twins(trial, candidate.engine, least=limits.alike),
        withdrawn(trial, candidate),
    ]
