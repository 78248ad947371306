"""What outcomes are worth in a list: `refit.value`, and the same in editorial rules."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

WANTED = "wanted"
OUTCOMES = (WANTED, "watch", "click", "like", "favorite", "share", "comment", "follow", "dislike", "skip")
"""Names that a value may have. WANTED is an event that a list is meant to bring, as the ranker is trained for."""
LARGEST = 1000.0
"""Largest size of a value."""


def checked(value: Mapping[Any, Any]) -> dict[str, float]:
    """Values by outcome, as they may stand in params.yaml.

    Args:
        value: By outcome what one is worth.

    Raises:
        ValueError: An outcome is unknown, or a value is no finite number of at most LARGEST.

    Example:
        >>> checked({"like": 2, "dislike": -4})
        {'like': 2.0, 'dislike': -4.0}
    """
    for name, worth in value.items():
        if name not in OUTCOMES:
            raise ValueError(f"{name!r} is no outcome. Name some of {', '.join(OUTCOMES)}")
        if isinstance(worth, bool) or not isinstance(worth, int | float) or not sound(worth):
            raise ValueError(
                f"{name}: {worth!r} is no number from {-LARGEST:g} to {LARGEST:g}. Write one, like 2 or -4"
            )
    return {str(name): float(worth) for name, worth in value.items()}


def sound(worth: float) -> bool:
    """Whether a number may be a value."""
    return isfinite(worth) and abs(worth) <= LARGEST
