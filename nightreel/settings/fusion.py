"""`finetune.fusion` of params.yaml: text, sound and picture of an item in one vector."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section


class Fusion(Section):
    """The projections that bring text, sound and picture into one space, learned from pairs of co-consumed items."""

    steps: Annotated[int, Field(ge=0, le=100_000)]
    """Contrastive steps; 0 leaves the vectors to the text. A count, so that runs are equal."""
    pairs: Annotated[int, Field(ge=2, le=65_536)]
    """Pairs of items in a step, and the fewest from which anything is learned; more is a better signal and slower."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak step of Adam; too high forgets what the text's encoder knew."""
    temperature: Annotated[float, Field(gt=0, le=1)]
    """Divides cosines before the softmax; lower looks harder at the nearest wrong items, and learns items by heart."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Chance that a step leaves out one of an item's modalities; more makes vectors of items without one better, and
    those of items with all of them a little worse."""
