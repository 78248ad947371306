"""Training the recurrent network with torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightreel.data.histories import ItemArray
from nightreel.models.neural.gru.config import GruConfig


class GruAttention(nn.Module):
    """The network. dropout: rate for embeddings and outputs."""

    def __init__(self, n_items: int, units: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, units)
        nn.init.normal_(self.items.weight, std=units**-0.5)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.gru = nn.GRU(units, units, batch_first=True)
        self.asks = nn.Linear(units, units, bias=False)
        self.joins = nn.Linear(2 * units, units, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, events: Tensor) -> Tensor:
        """Items int64 [b, t], left-aligned with any padding → outputs [b, t, units], to be multiplied with the
        embeddings."""
        states, _ = self.gru(self.drop(self.items(events)))
        weight = self.asks(states) @ states.transpose(1, 2) / states.shape[2] ** 0.5
        future = torch.ones(weight.shape[1:], dtype=torch.bool, device=weight.device).triu(1)
        pooled = weight.masked_fill(future, -torch.inf).softmax(dim=2) @ states
        return self.drop(self.joins(torch.cat([states, pooled], dim=2)))  # type: ignore[no-any-return]

    def logits(self, outputs: Tensor) -> Tensor:
        """Outputs [..., units] → logits [..., n_items]."""
        return functional.linear(outputs, self.items.weight, self.bias)


def flush_left(events: ItemArray) -> ItemArray:
    """Move the padding (negative) of each row behind its events, and cut to the longest row."""
    order = np.argsort(events < 0, axis=1, kind="stable")
    longest = int((events >= 0).sum(axis=1).max(initial=1))
    return np.take_along_axis(events, order, axis=1)[:, :longest]


def train_network(network: GruAttention, pieces: ItemArray, config: GruConfig, device: torch.device) -> None:
    """Train in place with AdamW, with a cosine decay of the learning rate to 0.

    Args:
        network: To be trained.
        pieces: [sequences, length] items, negative before the first event.
        config: Hyper-parameters. There are more than `epochs` epochs where they have fewer than `least_steps` steps.
        device: To train on.
    """
    batch = config.batch
    data = torch.from_numpy(flush_left(pieces).astype(np.int64)).to(device)
    batches = max(1, -(-len(data) // batch))
    epochs = max(config.epochs, -(-config.least_steps // batches))
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches)
    network.train()
    for _ in range(epochs if len(data) else 0):
        order = torch.randperm(len(data)).to(device)
        for start in range(0, len(data), batch):
            rows = data[order[start : start + batch]]
            loss = surprise(network, rows, config.horizon)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()


def surprise(network: GruAttention, rows: Tensor, horizon: int) -> Tensor:
    """Mean over events of -log p of the `horizon` next items, the j-th weighted 1 / j; rows [b, t], left-aligned."""
    there = rows[:, 1:] >= 0
    predicted = network.logits(network(rows[:, :-1].clamp(min=0))[there]).log_softmax(dim=1)
    coming = functional.pad(rows[:, 1:], (0, horizon - 1), value=-1).unfold(1, horizon, 1)[there]
    weight = (coming >= 0) / torch.arange(1, horizon + 1, device=rows.device)
    weight = weight / weight.sum(dim=1, keepdim=True)
    return -(weight * predicted.gather(1, coming.clamp(min=0))).sum(dim=1).mean()
