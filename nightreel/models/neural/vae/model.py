"""Mult-VAE: a variational autoencoder of histories with a multinomial likelihood.

Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018: input dropout, tanh layers
items → hidden → latent → hidden → items, with the weight of the KL term annealed from 0 to `kl`. Scoring uses the mean
of the latent distribution; the j-th event from the end of a history has weight exp(-j / decay).
Memory: 8 bytes x items x hidden. Ceiling: an epoch takes users x items x hidden x 12 operations: about 100,000 users
and 20,000 items on a GPU, a tenth of both on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.fixed_blocks import product
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.neural.torch_training import Weights, plain, seeded
from nightreel.models.neural.vae.config import VaeConfig
from nightreel.models.registry import register

DECAY = "decay"  # name of the array in a saved model


@register(
    "vae",
    config=VaeConfig,
    paper="Liang et al., WWW 2018",
    cost="8 bytes x items x hidden; users x items x hidden x 12 operations an epoch",
    ceiling="100,000 users and 20,000 items on a GPU, a tenth of both on two cores",
)
@dataclass(frozen=True)
class Vae:
    """A trained Mult-VAE.

    Attributes:
        weights: Of the layers `enter` [hidden, items], `mean` [latent, hidden], `leave` [hidden, latent] and
            `out` [items, hidden], each with a bias.
        decay: Number of events after which an event's weight falls by a factor e.
    """

    weights: Weights
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: VaeConfig, *, clock: bool) -> Self:
        """Train with Adam on the binary histories."""
        from nightreel.models.neural.vae.training import layers, train_network  # torch, which the base install lacks

        taken = user_item_matrix(train, catalogue.n_items)
        taken = taken[np.diff(taken.indptr) > 0]
        with seeded(config.seed) as device:
            network = layers(catalogue.n_items, config.hidden, config.latent).to(device)
            train_network(network, taken, config, device)
        weights = {name: values for name, values in plain(network).items() if not name.startswith("spread")}
        return cls(weights, config.decay)

    def with_scoring_params(self, config: VaeConfig) -> Self:
        """The same network with another decay."""
        return replace(self, decay=config.decay)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] logits; zeros for an empty history."""
        w = self.weights
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(w["out.bias"]))
        length = np.sqrt(np.asarray(profile.multiply(profile).sum(axis=1)).ravel())
        entered = np.asarray(profile @ w["enter.weight"].T) / np.maximum(length, 1e-12)[:, None]
        hidden = np.tanh(entered + w["enter.bias"])
        latent = product(hidden, w["mean.weight"].T) + w["mean.bias"]
        left = np.tanh(product(latent, w["leave.weight"].T) + w["leave.bias"])
        scores = product(left.astype(np.float32), w["out.weight"].T) + w["out.bias"]
        scores[histories.lengths == 0] = 0.0
        return np.asarray(scores, np.float32)

    def arrays(self) -> Arrays:
        """The weights and the decay."""
        return {**self.weights, DECAY: np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls({name: np.asarray(a) for name, a in arrays.items() if name != DECAY}, float(arrays[DECAY][0]))
