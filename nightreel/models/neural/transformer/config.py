"""The transformer's hyper-parameters, used for training and scoring."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Share
from nightreel.settings.backbone import Backbone


class TransformerConfig(ModelConfig):
    """Hyper-parameters of the transformer, and the checkpoint that may take the place of its layers."""

    sections: ClassVar[frozenset[str]] = frozenset({"backbone"})

    dim: Count = 128
    """Width of states and item vectors."""
    layers: Count = 1
    """Decoder layers."""
    heads: Count = 4
    """Attention heads."""
    window: Count = 50
    """Number of last events that are read; attention time grows with its square."""
    epochs: NotNegative = 10.0
    """Passes over all events when trained from scratch."""
    resumed_epochs: NotNegative = 2.0
    """Passes over all events when warm-started."""
    most_new: float = 0.15
    """Share of new events above which it is trained from scratch, not warm-started."""
    tokens: Positive = 10.0
    """Maximum number of events read in training, in millions; limits the time."""
    learning_rate: Positive = 0.002
    """Peak learning rate of AdamW."""
    resumed_rate: Positive = 0.002
    """Peak learning rate when warm-started."""
    dropout: Share = 0.3
    """Dropout rate of inputs and states in training."""
    negatives: Count = 1024
    """Negatives sampled per batch, for catalogues above 2,500 items."""
    mask: Share = 0.0
    """Share of input events whose item is masked in training (Xie et al., ICDE 2022)."""
    row_windows: Annotated[int, Field(ge=0)] = 0
    """Maximum number of windows of a history in an epoch; 0: all."""
    rating_weight: NotNegative = 0.0
    """Loss weight of a second task: predicting the rating of the next event; 0: off."""
    backbone: Backbone | None = None
    """A pretrained checkpoint for the layers; None for layers of its own."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self
