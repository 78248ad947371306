"""`understand.sentiment` of params.yaml: the tone of an item's prose."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section, Share


class Sentiment(Section):
    """Positive, neutral or negative tone of description and transcript, in English."""

    reads: Annotated[int, Field(ge=0, le=1000)]
    """Sentences that the lexicon reads, from the beginning; time grows linearly. 0: no tone is told."""
    probability: Share
    """Least calibrated probability of the label; below it, the label stays away rather than being wrong. The score is
    given all the same."""
