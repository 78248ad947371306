"""The section `understand.sentiment` of params.yaml: the tone of an item's description and transcript."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section, Share


class Sentiment(Section):
    """Positive, neutral or negative tone of English descriptions and transcripts."""

    reads: Annotated[int, Field(ge=0, le=1000)]
    """Number of sentences that are scored, from the beginning; 0: no sentiment. Time grows linearly."""
    probability: Share
    """Minimum calibrated probability of a label; below it the label is left empty, and only the score is given. Higher
    gives fewer and more reliable labels."""
