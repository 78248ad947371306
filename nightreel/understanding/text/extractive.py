"""Extractive keywords and summary: the phrases and sentences that best represent a text, by their vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightreel.content.encoders.base import Vectors

SAME = 0.9
"""Cosine from which two sentences say the same."""


def relevant_and_different(about: Vectors, candidates: Vectors, most: int, diversity: float) -> list[int]:
    """Positions of at most `most` candidates, the best first.

    Source: maximal marginal relevance (Carbonell and Goldstein 1998): each next one is near `about` [dim] and far from
    those taken. candidates: [n, dim]; all of unit length; diversity: 0 looks at nearness alone, 1 at difference alone.
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
    """Positions, ascending, of at most `most` sentences that are nearest to all the others on average; one that says
    the same as a nearer one is left out: a transcript often says what the description says.

    Source: degree centrality of Erkan and Radev, "LexRank" (2004), over cosines of vectors. sentences: [n, dim] of unit
    length; of equals the first is taken.
    """
    among = sentences @ sentences.T
    taken: list[int] = []
    for row in np.argsort(-among.sum(1), kind="stable").tolist():
        if len(taken) < most and not (among[row, taken] >= SAME).any():
            taken.append(row)
    return sorted(taken)


def without_overlap(phrases: Sequence[str]) -> list[str]:
    """The phrases in order, those left out whose words an earlier one has all."""
    kept: list[str] = []
    for phrase in phrases:
        words = set(phrase.casefold().split())
        if not any(words <= set(other.casefold().split()) for other in kept):
            kept.append(phrase)
    return kept
