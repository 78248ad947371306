"""The transformer's loss: cross-entropy of the next item, and optionally the squared error of its rating.

Source of the second task: Caruana, "Multitask Learning", 1997.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nightreel.data.contract.gains import weights_of
from nightreel.data.histories import Histories
from nightreel.models.factorization.rating_model import Rated, biases
from nightreel.models.neural.sequences import Batch, gap_buckets

if TYPE_CHECKING:
    from nightreel.models.neural.transformer.network import TransformerNetwork

BIAS = 2.0  # ridge penalty on biases, in ratings, see nightreel.models.factorization.rating_model
FLATTEN = 0.75  # exponent on item counts when negatives are sampled


@dataclass(frozen=True)
class TrainingTensors:
    """The training events as tensors.

    Attributes:
        item: [nnz] item of each event.
        gap: [nnz] bucket of the time since the event before.
        taken: [used] items with an event, ascending.
        place: [n_items] an item's index in `taken`.
        often: [used] probability to be sampled as a negative.
        rest: [nnz] the rating less its biases; NaN without a rating.
        weight: [nnz] weight of each event as an answer, by its gain; None where all are equal.
    """

    item: Tensor
    gap: Tensor
    taken: Tensor
    place: Tensor
    often: Tensor
    rest: Tensor
    weight: Tensor | None = None

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
        by_gain = weights_of(train.gains)
        weight = None if by_gain is None else torch.from_numpy(by_gain.astype(np.float32)).to(device)
        tensors = cls(*(torch.from_numpy(array).to(device) for array in (*arrays, rest)))
        return replace(tensors, weight=weight)


def unexplained(train: Histories, n_items: int) -> npt.NDArray[np.float32]:
    """[nnz] ratings less their mean and the biases of user and item; NaN for events without a rating."""
    rest = np.full(len(train.items), np.nan, np.float32)
    rated = np.flatnonzero(np.isfinite(train.values)) if train.values is not None else np.empty(0, np.int64)
    if train.values is not None and len(rated):
        known = Rated.of(train.rows[rated], train.items[rated], train.values[rated])
        mean = float(known.values.mean())
        of_user, of_item = biases(known, len(train), n_items, mean, BIAS)
        rest[rated] = known.values - mean - of_user[known.users] - of_item[known.items]
    return rest


def rating_loss(head: Tensor, states: Tensor, answers: Tensor, rest: Tensor) -> Tensor:
    """Mean squared error of the rating head; 0 without ratings. head: [dim, dim]; states, answers: [n, dim]; rest:
    [n]."""
    rated = torch.isfinite(rest)
    if not rated.any():
        return states.new_zeros(())
    return functional.mse_loss(((states[rated] @ head) * answers[rated]).sum(dim=1), rest[rated])


def loss_of(network: TransformerNetwork, tensors: TrainingTensors, batch: Batch, negatives: int, every: bool) -> Tensor:
    """Mean cross-entropy of the next item, weighted by its gain, plus the weighted rating loss where there is a rating
    head.

    Args:
        network: To be trained.
        tensors: The training events.
        batch: Event indices, and which of them are not padding.
        negatives: Number of sampled negatives, shared by the batch.
        every: Use the full softmax over all used items instead.
    """
    device = tensors.item.device
    at, real = (torch.from_numpy(part).to(device) for part in batch)
    inputs, answers = tensors.item[at], tensors.item[at[real] + 1]
    if every:
        items = tensors.taken
    else:
        drawn = torch.multinomial(tensors.often, negatives, replacement=True)
        items = torch.unique(torch.cat([inputs.ravel(), answers, tensors.taken[drawn]]))
    table = network.items(items)
    states = network.states(network.inputs(table[torch.searchsorted(items, inputs)], tensors.gap[at]))[real]
    right = torch.searchsorted(items, answers)
    if every:
        scores = states @ table.T + network.bias[items]
    else:
        scores = sampled_scores(network, tensors, states, answers, right, drawn, table, items)
    wanted = right if every else torch.zeros(len(scores), dtype=torch.int64, device=device)
    loss = mean_loss(scores, wanted, None if tensors.weight is None else tensors.weight[at[real] + 1])
    if network.rating is None:
        return loss
    return loss + network.rating_weight * rating_loss(network.rating, states, table[right], tensors.rest[at[real] + 1])


def mean_loss(scores: Tensor, wanted: Tensor, weight: Tensor | None) -> Tensor:
    """Mean cross-entropy. scores: [n, m]; wanted: [n] right columns; weight: [n], or None for equal weights."""
    if weight is None:
        return functional.cross_entropy(scores, wanted)
    return (functional.cross_entropy(scores, wanted, reduction="none") * weight).sum() / weight.sum()


def sampled_scores(
    network: TransformerNetwork,
    tensors: TrainingTensors,
    states: Tensor,
    answers: Tensor,
    right: Tensor,
    drawn: Tensor,
    table: Tensor,
    items: Tensor,
) -> Tensor:
    """Logits of the answers and of the shared negatives, less the log of their sampling probability.

    Source: Bengio and Senécal, "Adaptive Importance Sampling", IEEE TNN 2008.

    Args:
        network: To be trained.
        tensors: The training events.
        states: [n, dim] state before each answer.
        answers: [n] next items.
        right: [n] their rows in `table`.
        drawn: [negatives] indices in `tensors.taken`.
        table: [m, dim] vectors of `items`.
        items: [m] ascending.

    Returns:
        [n, 1 + negatives], the answer first; a negative that equals the answer is masked.
    """
    rate = torch.log(tensors.often * len(drawn)).float()
    negative = tensors.taken[drawn]
    positive = (states * table[right]).sum(dim=1) + network.bias[answers]
    others = states @ table[torch.searchsorted(items, negative)].T + network.bias[negative] - rate[drawn]
    others = others.masked_fill(answers[:, None] == negative[None, :], -math.inf)
    return torch.cat([(positive - rate[tensors.place[answers]])[:, None], others], dim=1)
