"""Mult-VAE's hyper-parameters, used for training and scoring."""

from __future__ import annotations

from typing import ClassVar

from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Seed, Share


class VaeConfig(ModelConfig):
    """Hyper-parameters of Mult-VAE."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    hidden: Count = 600
    """Units of the hidden layers; time and memory grow linearly."""
    latent: Count = 200
    """Units of the latent layer; more fits finer tastes, and noise."""
    dropout: Share = 0.5
    """Dropout rate of the input in training; higher overfits less."""
    kl: NotNegative = 0.2
    """Maximum weight of the KL term; higher overfits less."""
    epochs: Count = 50
    """Passes over all users."""
    batch: Count = 256
    """Users in a batch."""
    learning_rate: Positive = 0.001
    """Learning rate of Adam."""
    seed: Seed = 1
    """Seed of the random initialisation and of training."""
    decay: Positive = 20.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""
