"""The recurrent network's hyper-parameters, used for training and scoring."""

from __future__ import annotations

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Seed, Share


class GruConfig(ModelConfig):
    """Hyper-parameters of the recurrent network."""

    units: Count = 64
    """Width of states and item embeddings; time grows linearly."""
    window: Count = 50
    """Number of last events that are read; time grows linearly."""
    horizon: Count = 1
    """Number of next events that are predicted in training; more is steadier and less exact about the next one."""
    dropout: Share = 0.3
    """Dropout rate of embeddings and outputs in training."""
    weight_decay: NotNegative = 0.01
    """Weight decay of AdamW."""
    epochs: Count = 10
    """Passes over all training sequences."""
    least_steps: Count = 1
    """Minimum number of training steps, for small data."""
    batch: Count = 64
    """Training sequences in a batch."""
    learning_rate: Positive = 0.002
    """Peak learning rate of AdamW."""
    seed: Seed = 1
    """Seed of the random initialisation and of training."""
