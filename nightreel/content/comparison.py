"""Comparison of content vectors by what they are worth to recommendations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightreel.content.modalities import Vectors


@dataclass(frozen=True)
class ContentComparison:
    """Validation NDCG@10 of content kNN with two sets of vectors. better: whether the second one's is higher by more
    than chance and rounding decide."""

    before: float
    after: float
    better: bool


Compare = Callable[[Vectors, Vectors], ContentComparison]
"""Compares vectors [n_items, d], as they are and as they would be."""
