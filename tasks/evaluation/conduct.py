"""Every behavioural test of a candidate, asked through its reader."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evaluation.behaviour import Behaviour, behaviours
from tasks.evaluation.trial import Trial
from tasks.evaluation.twins import twins
from tasks.evaluation.withdrawn import withdrawn
from tasks.index.reader import Reader
from tasks.models.engine import BLEND
from tasks.settings import Evaluate


def conduct(
    trial: Trial, candidate: Reader, genres: Sequence[Sequence[str] | None], limits: Evaluate
) -> list[Behaviour]:
    """genres: of each item. What compares nights is told apart: it needs the champion's lists."""
    return [
        *behaviours(trial, candidate, BLEND, genres, steady=limits.steady),
        twins(trial, candidate.engine, least=limits.alike),
        withdrawn(trial, candidate),
    ]
