"""Mult-VAE: a variational autoencoder of whole histories with a multinomial likelihood.

Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018: input dropout, tanh layers
items → hidden → latent → hidden → items, the KL term's weight annealed from 0 to `kl`. Answered with the mean of the
latent distribution; the asking history's events are weighted exp(-j / decay), j events from the end.
Memory: 8 bytes x items x hidden. Ceiling: an epoch costs users x items x hidden x 12 operations: about 100,000 users
and 20,000 items on a GPU, a tenth of both on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Hyper, Scores
from nightreel.models.item_to_item import binary_matrix, recency_weights, weighted_matrix
from nightreel.models.neural.torch_training import Weights, plain, seeded

if TYPE_CHECKING:
    import torch

DECAY = "decay"  # among the weights' names in a saved folder


@dataclass(frozen=True)
class Vae:
    """Hyper-parameters: hidden, latent (units), dropout (share of the input), kl, epochs, batch (users),
    learning_rate, seed, decay (events).

    weights: of the layers `enter` [hidden, items], `mean` [latent, hidden], `leave` [hidden, latent] and
    `out` [items, hidden], each with a bias.
    """

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})
    weights: Weights
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """Adam over batches of users drawn anew every epoch; untaken items everywhere give zero scores."""
        taken = binary_matrix(train, catalogue.n_items)
        taken = taken[np.diff(taken.indptr) > 0]
        with seeded(int(hyper["seed"])) as device:
            network = layers(catalogue.n_items, int(hyper["hidden"]), int(hyper["latent"])).to(device)
            train_network(network, taken, hyper, device)
        weights = {name: values for name, values in plain(network).items() if not name.startswith("spread")}
        return cls(weights, float(hyper["decay"]))

    def asking(self, hyper: Hyper) -> Self:
        """The same network asked with another decay."""
        return replace(self, decay=float(hyper["decay"]))

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] logits; zeros for an empty history."""
        w = self.weights
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(w["out.bias"]))
        length = np.sqrt(np.asarray(profile.multiply(profile).sum(axis=1)).ravel())
        entered = np.asarray(profile @ w["enter.weight"].T) / np.maximum(length, 1e-12)[:, None]
        hidden = np.tanh(entered + w["enter.bias"])
        latent = hidden @ w["mean.weight"].T + w["mean.bias"]
        left = np.tanh(latent @ w["leave.weight"].T + w["leave.bias"])
        scores = left.astype(np.float32) @ w["out.weight"].T + w["out.bias"]
        scores[histories.lengths == 0] = 0.0
        return np.asarray(scores, np.float32)

    def arrays(self) -> Arrays:
        """The layers and the decay."""
        return {**self.weights, DECAY: np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`."""
        return cls({name: np.asarray(a) for name, a in arrays.items() if name != DECAY}, float(arrays[DECAY][0]))


def layers(n_items: int, hidden: int, latent: int) -> torch.nn.ModuleDict:
    """The five layers; `spread`, the latent log-variance, is for training alone."""
    from torch import nn

    made: dict[str, nn.Module] = {
        "enter": nn.Linear(n_items, hidden),
        "mean": nn.Linear(hidden, latent),
        "spread": nn.Linear(hidden, latent),
        "leave": nn.Linear(latent, hidden),
        "out": nn.Linear(hidden, n_items),
    }
    for layer in made.values():
        nn.init.xavier_uniform_(layer.get_parameter("weight"))
        nn.init.zeros_(layer.get_parameter("bias"))
    return nn.ModuleDict(made)


def train_network(network: torch.nn.ModuleDict, taken: sp.csr_matrix, hyper: Hyper, device: torch.device) -> None:
    """Train in place. taken: binary [users, n_items], no empty row."""
    import torch

    users, batch, epochs = taken.shape[0], int(hyper["batch"]), int(hyper["epochs"])
    optimiser = torch.optim.Adam(network.parameters(), lr=hyper["learning_rate"])
    steps, step = epochs * -(-users // batch), 0
    for _ in range(epochs):
        order = torch.randperm(users).numpy()
        for start in range(0, users, batch):
            x = torch.from_numpy(taken[order[start : start + batch]].toarray()).to(device)
            # The weight of KL reaches its cap halfway, so that the rest is learned at the cap.
            loss = bound(network, x, hyper["dropout"], hyper["kl"] * min(1.0, 2.0 * step / steps))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            step += 1


def bound(network: torch.nn.ModuleDict, x: torch.Tensor, dropout: float, kl: float) -> torch.Tensor:
    """The negative evidence bound of a batch [b, n_items], averaged over users."""
    import torch
    from torch.nn import functional

    entered = functional.dropout(functional.normalize(x, dim=1), dropout)
    hidden = torch.tanh(network["enter"](entered))
    mean, spread = network["mean"](hidden), network["spread"](hidden)
    latent = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
    logits = network["out"](torch.tanh(network["leave"](latent)))
    likelihood = (functional.log_softmax(logits, dim=1) * x).sum(dim=1)
    divergence = 0.5 * (mean.square() + spread.exp() - 1.0 - spread).sum(dim=1)
    return torch.mean(kl * divergence - likelihood)
