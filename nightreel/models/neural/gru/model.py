"""A gated recurrent network (GRU) with attention over its states, which predicts the next item.

Source: Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", ICLR 2016 (GRU4Rec; here with
the full softmax); Li et al., "Neural Attentive Session-based Recommendation", CIKM 2017 (NARM: the last state
attends to all states, and both score the items through their embeddings). Attention is a scaled dot product here, which
is cheaper than NARM's sum of sigmoids, and normalised, so that scores don't depend on a history's length.
`horizon` next events are predicted in training, because a single one is a sparse signal.
Histories are cut to their last `window` events, and for training into sequences of that length.
Memory: 4 bytes x items x units. Ceiling: an epoch takes events x items x units x 6 operations: a million events and
20,000 items on a GPU, a tenth of the events on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.fixed_blocks import product
from nightreel.models.neural.gru.config import GruConfig
from nightreel.models.neural.torch_training import Weights, plain, seeded, sigmoid
from nightreel.models.registry import register

WINDOW = "window"  # name of the array in a saved model
NONE = -1  # padding before a history's first event


@register(
    "recurrent",
    config=GruConfig,
    paper="Hidasi et al., ICLR 2016; Li et al., CIKM 2017 (NARM)",
    cost="4 bytes x items x units; events x items x units x 6 operations an epoch",
    ceiling="a million events and 20,000 items on a GPU, a tenth of the events on two cores",
)
@dataclass(frozen=True)
class Recurrent:
    """A trained network.

    Attributes:
        weights: Item embeddings [items, units] and bias, the GRU's (gates reset, update, new), `asks` [units, units] of
            the attention's query, and `joins` [units, 2 units] of the output.
        window: Number of last events that are read.
    """

    weights: Weights
    window: int

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: GruConfig, *, clock: bool) -> Self:
        """Train with AdamW; at every event, the `horizon` events after it are predicted."""
        from nightreel.models.neural.gru.training import GruAttention, train_network

        window = config.window
        with seeded(config.seed) as device:
            network = GruAttention(catalogue.n_items, config.units, config.dropout).to(device)
            train_network(network, pieces(train, window + 1), config, device)
            return cls(plain(network), window)

    def with_scoring_params(self, config: GruConfig) -> Self:
        """The same model: it has no scoring parameters."""
        return self

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] logits of the next item; zeros for an empty history."""
        w = self.weights
        events = latest(histories, self.window)
        states = recurrence(w, events)
        last = states[:, -1]
        weight = np.einsum("nd,ntd->nt", product(last, w["asks.weight"].T), states) / np.sqrt(
            np.float32(states.shape[2])
        )
        weight = np.where(events == NONE, np.float32(-1e9), weight)
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        pooled = np.einsum("nt,ntd->nd", weight, states)
        joined = product(np.concatenate([last, pooled], axis=1), w["joins.weight"].T)
        scores = product(joined.astype(np.float32), w["items.weight"].T) + w["bias"]
        scores[histories.lengths == 0] = 0.0
        return np.asarray(scores, np.float32)

    def arrays(self) -> Arrays:
        """The weights and the window."""
        return {**self.weights, WINDOW: np.array([self.window])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls({name: np.asarray(a) for name, a in arrays.items() if name != WINDOW}, int(arrays[WINDOW][0]))


def latest(histories: Histories, window: int) -> ItemArray:
    """[n, window] last events of each row, right-aligned, padded with NONE."""
    from_end = np.arange(window, 0, -1)
    at = histories.indptr[1:, None] - from_end
    there = from_end <= histories.lengths[:, None]
    events = np.full((len(histories), window), NONE, np.int32)
    events[there] = histories.items[at[there]]
    return events


def pieces(train: Histories, length: int) -> ItemArray:
    """[sequences, length] histories cut from the end into sequences that overlap by one event, right-aligned."""
    step = length - 1
    counts = np.maximum(0, -(-(train.lengths - 1) // step))
    row = np.repeat(np.arange(len(train)), counts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    end = train.indptr[1:][row] - place * step
    at = end[:, None] - np.arange(length, 0, -1)
    there = at >= train.indptr[:-1][row][:, None]
    events = np.full((len(row), length), NONE, np.int32)
    events[there] = train.items[at[there]]
    return events


def recurrence(w: Weights, events: ItemArray) -> npt.NDArray[np.float32]:
    """[n, t, units] state of the GRU after each event; zero before the first."""
    units = w["gru.weight_hh_l0"].shape[1]
    states = np.zeros((*events.shape, units), np.float32)
    state = np.zeros((len(events), units), np.float32)
    for step in range(events.shape[1]):
        there = np.flatnonzero(events[:, step] != NONE)
        before = state[there]
        given = product(w["items.weight"][events[there, step]], w["gru.weight_ih_l0"].T) + w["gru.bias_ih_l0"]
        held = product(before, w["gru.weight_hh_l0"].T) + w["gru.bias_hh_l0"]
        reset = sigmoid(given[:, :units] + held[:, :units])
        update = sigmoid(given[:, units : 2 * units] + held[:, units : 2 * units])
        new = np.tanh(given[:, 2 * units :] + reset * held[:, 2 * units :])
        state[there] = (1.0 - update) * new + update * before
        states[:, step] = state
    return states
