"""Hyper-parameters, which the model and its training share."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Share


class TransformerConfig(ModelConfig):
    """Hyper-parameters of the transformer."""

    dim: Count = 128
    """Width of states and item vectors."""
    layers: Count = 1
    """Decoder layers."""
    heads: Count = 4
    """Attention heads."""
    window: Count = 50
    """Last events that are read."""
    epochs: NotNegative = 10.0
    """Passes over all events."""
    resumed_epochs: NotNegative = 2.0
    """Passes when it is warm-started."""
    most_new: float = 0.15
    """Share of events new to it above which it is trained from scratch."""
    tokens: Positive = 10.0
    """Millions of events read at most."""
    learning_rate: Positive = 0.002
    """AdamW's, at its highest."""
    resumed_rate: Positive = 0.002
    """The same when it is warm-started."""
    dropout: Share = 0.3
    """Share of states that is hidden while training."""
    negatives: Count = 1024
    """Items drawn for a batch in large catalogues."""
    mask: Share = 0.0
    """Share of events read whose item is hidden while training (Xie et al., ICDE 2022)."""
    row_windows: Annotated[int, Field(ge=0)] = 0
    """Windows of a history in a pass; 0: all."""
    rating_weight: NotNegative = 0.0
    """Weight of a second task, the rating that the next event gives."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self
