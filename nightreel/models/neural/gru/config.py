"""Hyper-parameters, which the model and its training share."""

from __future__ import annotations

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Seed, Share


class GruConfig(ModelConfig):
    """Hyper-parameters of the recurrent network."""

    units: Count = 64
    """Width of states and item embeddings."""
    window: Count = 50
    """Last events that are read."""
    horizon: Count = 1
    """Events ahead that are predicted while training."""
    dropout: Share = 0.3
    """Share of the inputs that is hidden while training."""
    weight_decay: NotNegative = 0.01
    """AdamW's."""
    epochs: Count = 10
    """Passes over all pieces."""
    least_steps: Count = 1
    """Training steps at least, where the data are few."""
    batch: Count = 64
    """Pieces in a step."""
    learning_rate: Positive = 0.002
    """AdamW's."""
    seed: Seed = 1
    """Seed of the random start."""
