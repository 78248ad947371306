"""What the transformer learns from: the events as tensors, the cross-entropy of the next one, and, where it is asked
for, the squared error of the rating that the next one gets (as one of two tasks: Caruana, "Multitask Learning", 1997).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nightreel.data.histories import Histories
from nightreel.models.factorization.rating_model import Rated, biases
from nightreel.models.neural.sequences import Batch, gap_buckets

if TYPE_CHECKING:
    from nightreel.models.neural.transformer.network import TransformerNetwork

BIAS = 2.0  # ratings at the mean that are added to everybody's own, see nightreel.models.factorization.rating_model
FLATTEN = 0.75  # exponent on the items' use when negatives are drawn


@dataclass(frozen=True)
class TrainingTensors:
    """The events as tensors. item, gap: [nnz]; taken: items with an event, ascending; place: [n_items] an item's place
    in `taken`; often: [taken] chance to be drawn as a negative; rest: [nnz] what biases leave of a rating, NaN where an
    event gave none."""

    item: Tensor
    gap: Tensor
    taken: Tensor
    place: Tensor
    often: Tensor
    rest: Tensor

    @classmethod
    def of(
        cls, train: Histories, n_items: int, clock: bool, device: torch.device, *, rated: bool = False
    ) -> TrainingTensors:
        counts = np.bincount(train.items, minlength=n_items)
        taken = np.flatnonzero(counts)
        place = np.zeros(n_items, np.int64)
        place[taken] = np.arange(len(taken))
        often = counts[taken] ** FLATTEN
        arrays = train.items.astype(np.int64), gap_buckets(train, clock), taken, place, often / often.sum()
        rest = unexplained(train, n_items) if rated else np.full(len(train.items), np.nan, np.float32)
        return cls(*(torch.from_numpy(array).to(device) for array in (*arrays, rest)))


def unexplained(train: Histories, n_items: int) -> npt.NDArray[np.float32]:
    """[nnz] ratings less their mean and the biases of user and item; NaN where an event gave none."""
    rest = np.full(len(train.items), np.nan, np.float32)
    rated = np.flatnonzero(np.isfinite(train.values)) if train.values is not None else np.empty(0, np.int64)
    if train.values is not None and len(rated):
        known = Rated.of(train.rows[rated], train.items[rated], train.values[rated])
        mean = float(known.values.mean())
        of_user, of_item = biases(known, len(train), n_items, mean, BIAS)
        rest[rated] = known.values - mean - of_user[known.users] - of_item[known.items]
    return rest


def rating_loss(head: Tensor, states: Tensor, answers: Tensor, rest: Tensor) -> Tensor:
    """The rating head's squared error; 0 where nothing was rated. head: [dim, dim]; states, answers: [n, dim]; rest:
    [n]."""
    rated = torch.isfinite(rest)
    if not rated.any():
        return states.new_zeros(())
    return functional.mse_loss(((states[rated] @ head) * answers[rated]).sum(dim=1), rest[rated])


def loss_of(network: TransformerNetwork, lessons: TrainingTensors, batch: Batch, negatives: int, every: bool) -> Tensor:
    """Mean cross-entropy of the next item; over every item taken, or over the answer and shared drawn negatives. The
    error of its rating is added, where there is a head for it."""
    device = lessons.item.device
    at, real = (torch.from_numpy(part).to(device) for part in batch)
    questions, answers = lessons.item[at], lessons.item[at[real] + 1]
    if every:
        asked = lessons.taken
    else:
        drawn = torch.multinomial(lessons.often, negatives, replacement=True)
        asked = torch.unique(torch.cat([questions.ravel(), answers, lessons.taken[drawn]]))
    table = network.items(asked)
    states = network.states(network.inputs(table[torch.searchsorted(asked, questions)], lessons.gap[at]))[real]
    right = torch.searchsorted(asked, answers)
    if every:
        loss = functional.cross_entropy(states @ table.T + network.bias[asked], right)
    else:
        scores = sampled_scores(network, lessons, states, answers, right, drawn, table, asked)
        loss = functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=device))
    if network.rating is None:
        return loss
    return loss + network.rating_weight * rating_loss(network.rating, states, table[right], lessons.rest[at[real] + 1])


def sampled_scores(
    network: TransformerNetwork,
    lessons: TrainingTensors,
    states: Tensor,
    answers: Tensor,
    right: Tensor,
    drawn: Tensor,
    table: Tensor,
    asked: Tensor,
) -> Tensor:
    """[answers, 1 + negatives], the answer first (at `right` in the table), each less the log of how often it is drawn
    (Bengio and Senécal, "Adaptive Importance Sampling", IEEE TNN 2008); an answer that was drawn as a negative too
    counts once."""
    rate = torch.log(lessons.often * len(drawn)).float()
    negative = lessons.taken[drawn]
    own = (states * table[right]).sum(dim=1) + network.bias[answers]
    others = states @ table[torch.searchsorted(asked, negative)].T + network.bias[negative] - rate[drawn]
    others = others.masked_fill(answers[:, None] == negative[None, :], -math.inf)
    return torch.cat([(own - rate[lessons.place[answers]])[:, None], others], dim=1)
