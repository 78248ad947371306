"""Extractive keywords and summary: the phrases and sentences that best represent a text, by their vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightreel.content.encoders.base import Vectors

SAME = 0.9
"""Cosine from which on two sentences count as equivalent."""


def relevant_and_different(about: Vectors, candidates: Vectors, most: int, diversity: float) -> list[int]:
    """Positions of at most `most` candidates, best first.

    Source: maximal marginal relevance (Carbonell and Goldstein 1998): each next one is similar to `about` [dim] and
    dissimilar to the selected ones. candidates: [n, dim]; all of unit length; diversity: 0 considers only similarity to
    `about`, 1 only dissimilarity.
    """
    near = candidates @ about
    among = candidates @ candidates.T
    taken: list[int] = []
    while len(taken) < min(most, len(candidates)):
        closest = among[:, taken].max(1) if taken else np.zeros(len(candidates), np.float32)
        gain = (1 - diversity) * near - diversity * closest
        gain[taken] = -np.inf
        taken.append(int(gain.argmax()))
    return taken


def central(sentences: Vectors, most: int) -> list[int]:
    """Positions, ascending, of at most `most` sentences with the highest average similarity to all others; of
    equivalent ones only the best: a transcript often repeats the description.

    Source: degree centrality of Erkan and Radev, "LexRank" (2004), over cosines of vectors. sentences: [n, dim] of unit
    length; of equals the first is selected.
    """
    among = sentences @ sentences.T
    taken: list[int] = []
    for row in np.argsort(-among.sum(1), kind="stable").tolist():
        if len(taken) < most and not (among[row, taken] >= SAME).any():
            taken.append(row)
    return sorted(taken)


def without_overlap(phrases: Sequence[str]) -> list[str]:
    """The phrases in order, without those whose words are all in an earlier one."""
    kept: list[str] = []
    for phrase in phrases:
        words = set(phrase.casefold().split())
        if not any(words <= set(other.casefold().split()) for other in kept):
            kept.append(phrase)
    return kept
