"""Hyper-parameters, which the model and its training share."""

from __future__ import annotations

from typing import ClassVar

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Seed, Share


class VaeConfig(ModelConfig):
    """Hyper-parameters of Mult-VAE."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    hidden: Count = 600
    """Units of the hidden layers."""
    latent: Count = 200
    """Units of the latent layer."""
    dropout: Share = 0.5
    """Share of the input that is hidden while training."""
    kl: NotNegative = 0.2
    """Largest weight of the KL term."""
    epochs: Count = 50
    """Passes over all users."""
    batch: Count = 256
    """Users in a step."""
    learning_rate: Positive = 0.001
    """Adam's."""
    seed: Seed = 1
    """Seed of the random start."""
    decay: Positive = 20.0
    """Events after which an event of the history counts exp(-1) of the last one."""
