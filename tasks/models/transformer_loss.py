"""What the transformer learns from: the events as tensors, and the cross-entropy of the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks.data.histories import Histories
from tasks.models.sequences import Batch, gap_buckets

if TYPE_CHECKING:
    from tasks.models.transformer_training import Network

FLATTEN = 0.75  # exponent on the items' use when negatives are drawn


@dataclass(frozen=True)
class Lessons:
    """The events as tensors. item, gap: [nnz]; taken: items with an event, ascending; place: [n_items] an item's place
    in `taken`; often: [taken] chance to be drawn as a negative."""

    item: Tensor
    gap: Tensor
    taken: Tensor
    place: Tensor
    often: Tensor

    @classmethod
    def of(cls, train: Histories, n_items: int, clock: bool, device: torch.device) -> Lessons:
        counts = np.bincount(train.items, minlength=n_items)
        taken = np.flatnonzero(counts)
        place = np.zeros(n_items, np.int64)
        place[taken] = np.arange(len(taken))
        often = counts[taken] ** FLATTEN
        arrays = train.items.astype(np.int64), gap_buckets(train, clock), taken, place, often / often.sum()
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


def loss_of(network: Network, lessons: Lessons, batch: Batch, negatives: int, every: bool) -> Tensor:
    """Mean cross-entropy of the next item; over every item taken, or over the answer and shared drawn negatives."""
    device = lessons.item.device
    at, real = (torch.from_numpy(part).to(device) for part in batch)
    questions, answers = lessons.item[at], lessons.item[at[real] + 1]
    if every:
        table = network.items(lessons.taken)
        states = network.states(network.inputs(table[lessons.place[questions]], lessons.gap[at]))[real]
        scores = states @ table.T + network.bias[lessons.taken]
        return functional.cross_entropy(scores, lessons.place[answers])
    drawn = torch.multinomial(lessons.often, negatives, replacement=True)
    asked = torch.unique(torch.cat([questions.ravel(), answers, lessons.taken[drawn]]))
    table = network.items(asked)
    inputs = network.inputs(table[torch.searchsorted(asked, questions)], lessons.gap[at])
    states = network.states(inputs)[real]
    scores = sampled_scores(network, lessons, states, answers, drawn, table, asked)
    return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=device))


def sampled_scores(
    network: Network, lessons: Lessons, states: Tensor, answers: Tensor, drawn: Tensor, table: Tensor, asked: Tensor
) -> Tensor:
    """[answers, 1 + negatives], the answer first, each less the log of how often it is drawn (Bengio and Senécal,
    "Adaptive Importance Sampling", IEEE TNN 2008); an answer that was drawn as a negative too counts once."""
    rate = torch.log(lessons.often * len(drawn)).float()
    negative = lessons.taken[drawn]
    own = (states * table[torch.searchsorted(asked, answers)]).sum(dim=1) + network.bias[answers]
    others = states @ table[torch.searchsorted(asked, negative)].T + network.bias[negative] - rate[drawn]
    others = others.masked_fill(answers[:, None] == negative[None, :], -math.inf)
    return torch.cat([(own - rate[lessons.place[answers]])[:, None], others], dim=1)
