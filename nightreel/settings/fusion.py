"""The section `finetune.fusion` of params.yaml: one vector for an item's text, sound and pictures."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section


class Fusion(Section):
    """Projections of text, sound and picture vectors into one space, trained on pairs of co-consumed items."""

    steps: Annotated[int, Field(ge=0, le=100_000)]
    """Training steps (a count, not a time, so that runs are reproducible); 0: text vectors alone are used."""
    pairs: Annotated[int, Field(ge=2, le=65_536)]
    """Item pairs in a training step, and the minimum number of pairs for any training. More gives a better signal and
    is slower."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak learning rate of Adam; too high a rate loses what the text encoder has learned."""
    temperature: Annotated[float, Field(gt=0, le=1)]
    """Softmax temperature of the cosines; lower puts more weight on hard negatives, and overfits sooner."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Probability that a training step leaves out one of an item's modalities. Higher improves the vectors of items
    that lack one, and makes those of complete items slightly worse."""
