"""Lengths of time as people read them."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """A length of time in the largest unit of which it has at least two.

    Example:
        >>> in_words(75), in_words(932), in_words(5400), in_words(200_000)
        ('75 s', '16 min', '90 min', '2 days')
    """
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"
