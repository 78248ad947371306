"""Results from logged slates: off-policy estimates of the challenger, and a running A/B test."""

from __future__ import annotations

from typing import Any

from nightreel.data.dataset import Dataset
from nightreel.evaluation.logs.ab_outcomes import read_experiment
from nightreel.evaluation.logs.logged_slates import off_policy
from nightreel.evaluation.logs.off_policy import Resample
from nightreel.evaluation.test_set import Ranker
from nightreel.settings.logs import Logs


def read_logs(data: Dataset, ranker: Ranker | None, model: str, settings: Logs, resample: Resample) -> dict[str, Any]:
    """Return both as JSON, each with `why` if not measured. Neither affects the verdict."""
    return {
        "off_policy": off_policy(data, ranker, model, settings, resample),
        "experiment": read_experiment(data, settings),
    }
