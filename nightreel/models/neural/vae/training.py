"""Training Mult-VAE, with torch."""

from __future__ import annotations

import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from nightreel.models.neural.vae.config import VaeConfig


def layers(n_items: int, hidden: int, latent: int) -> torch.nn.ModuleDict:
    """The five layers; `spread`, the latent log-variance, is used only in training."""
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


def train_network(network: torch.nn.ModuleDict, taken: sp.csr_matrix, config: VaeConfig, device: torch.device) -> None:
    """Train in place with Adam. taken: binary [users, n_items] without empty rows."""
    users, batch, epochs = taken.shape[0], config.batch, config.epochs
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    steps, step = epochs * -(-users // batch), 0
    for _ in range(epochs):
        order = torch.randperm(users).numpy()
        for start in range(0, users, batch):
            x = torch.from_numpy(taken[order[start : start + batch]].toarray()).to(device)
            # The KL weight reaches its maximum halfway, so that the second half is trained with it.
            loss = bound(network, x, config.dropout, config.kl * min(1.0, 2.0 * step / steps))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            step += 1


def bound(network: torch.nn.ModuleDict, x: torch.Tensor, dropout: float, kl: float) -> torch.Tensor:
    """Mean negative evidence lower bound of a batch [b, n_items]."""
    entered = functional.dropout(functional.normalize(x, dim=1), dropout)
    hidden = torch.tanh(network["enter"](entered))
    mean, spread = network["mean"](hidden), network["spread"](hidden)
    latent = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
    logits = network["out"](torch.tanh(network["leave"](latent)))
    likelihood = (functional.log_softmax(logits, dim=1) * x).sum(dim=1)
    divergence = 0.5 * (mean.square() + spread.exp() - 1.0 - spread).sum(dim=1)
    return torch.mean(kl * divergence - likelihood)
