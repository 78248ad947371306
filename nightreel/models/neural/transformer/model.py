"""A content-aware decoder-only transformer, whose item vectors are learned ids plus projected content.

Source: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, with what later work found to matter:
the loss over the whole catalogue (Klenitskiy and Vasilev, RecSys 2023), or sampled with correction where the catalogue
is large; rotary positions; content in the item's vector, so that a new item has one; the time between events as an
input where there are timestamps. Ids are initialised with factors of the items' co-occurrence, and biases with item
counts, which saves most of the training. It is trained with transformers' GPT-NeoX and scores with numpy alone.
Memory: items x dim x 16 bytes and a batch's scores while fitting, items x dim x 8 while scoring. Ceiling: `tokens`
limits the time; a million take about 70 s of one core at dim 128, one layer and 1,700 items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.fixed_blocks import product
from nightreel.models.neural.sequences import gap_buckets
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.numpy_forward import FORM, last_states
from nightreel.models.registry import register

if TYPE_CHECKING:
    from nightreel.settings.backbone import Backbone

BLOCK_TOKENS = 4096  # positions computed at once when scoring: a few MB at dim 64
STEP = 8  # lengths are padded to a multiple of it


@register(
    "transformer",
    config=TransformerConfig,
    paper="Kang & McAuley, ICDM 2018; Klenitskiy & Vasilev, RecSys 2023",
    cost="items x dim x 16 bytes while fitting; about 70 s of one core for a million `tokens`",
    ceiling="any size: `tokens` limits the training time",
)
@dataclass(frozen=True)
class Transformer:
    """A trained transformer.

    `python -m benchmarks.models.ablation` measures what its hyper-parameters contribute, and
    `benchmarks.models.joint_ratings` the second task (`rating_weight`), whose head shares all layers below it.

    Attributes:
        weights: Trained arrays by name.
        items: float32 [n_items, dim], the items' vectors.
        heads: Attention heads.
        window: Maximum number of events that are read.
        clock: Whether times are epoch seconds, so that gaps are used.
        events: Number of events that it was trained on; 0 where an older version did not record it.
    """

    weights: Mapping[str, npt.NDArray[Any]]
    items: npt.NDArray[np.float32]
    heads: int
    window: int
    clock: bool
    events: int

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: TransformerConfig, *, clock: bool) -> Self:
        """Train from scratch, with ids and biases initialised from the data.

        Args:
            train: Positive events, one row a user.
            catalogue: The items.
            config: Hyper-parameters, and the checkpoint for the layers where it has one.
            clock: Whether times are epoch seconds, not positions.

        Raises:
            SettingsError: The checkpoint can't be used.
        """
        return cls._trained(train, catalogue, config, None, clock, config.backbone)

    @property
    def pretrained(self) -> Arrays | None:
        """The weights, where the layers are a checkpoint's, which further training keeps; else None."""
        return {**self.weights} if FORM in self.weights else None

    @staticmethod
    def trains_from_scratch(events: int, train: Histories, config: TransformerConfig) -> bool:
        """Whether too much of `train` is new to a state that was trained on `events` of it to warm-start from that
        state."""
        return len(train.items) - events > config.most_new * len(train.items)

    @classmethod
    def trains_ahead(cls, events: int, train: Histories, config: TransformerConfig) -> bool:
        """The same, but never with a checkpoint, which every process would load."""
        return config.backbone is None and cls.trains_from_scratch(events, train, config)

    def resumed(
        self,
        train: Histories,
        catalogue: Catalogue,
        config: TransformerConfig,
        *,
        clock: bool,
        rows: IntArray | None = None,
    ) -> Self:
        """Train further: `resumed_epochs` at `resumed_rate`; from scratch where more than `most_new` of the events are
        new.

        Args:
            train: All positive events, old and new, one row a user.
            catalogue: Today's items.
            config: Hyper-parameters.
            clock: Whether times are epoch seconds, not positions.
            rows: [n_items] this model's index of each item, or -1; None: its items come first, and new ones follow.

        Raises:
            ValueError: The network's shape or the width of content vectors changed, or items are gone.
        """
        mine = {"dim": self.items.shape[1]}
        if self.pretrained is None:
            mine |= {"layers": len(self.weights["layers.mlp.dense_h_to_4h.bias"]), "heads": self.heads}
        other = [name for name, value in mine.items() if getattr(config, name) != value]
        other += ["content"] if catalogue.vectors.shape[1] != len(self.weights["projection"]) else []
        if other or (rows is None and catalogue.n_items < len(self.items)):
            raise ValueError(f"can't warm-start: {', '.join(other) or 'items'} changed; train from scratch")
        if self.trains_from_scratch(self.events, train, config):
            return self._trained(train, catalogue, config, None, clock, self.pretrained)
        less = config.model_copy(update={"epochs": config.resumed_epochs, "learning_rate": config.resumed_rate})
        return self._trained(train, catalogue, less, self._placed(catalogue, rows), clock, self.pretrained)

    def placed(self, catalogue: Catalogue, rows: IntArray) -> Self:
        """The same network for another catalogue: new items get the vector of their content, and the lowest bias. See
        `Placeable`."""
        weights = self._placed(catalogue, rows)
        known, lowest = rows >= 0, np.float32(np.min(self.weights["bias"], initial=0.0))
        bias = np.where(known, weights["bias"], lowest).astype(np.float32)
        items = (weights["ids"] + catalogue.vectors @ weights["projection"]).astype(np.float32)
        items[known] = self.items[rows[known]]
        return replace(self, weights={**weights, "bias": bias}, items=items)

    def _placed(self, catalogue: Catalogue, rows: IntArray | None) -> Arrays:
        """The weights for another catalogue: known items keep their vectors, even if their content has changed; new
        ones get that of their content, and NaN as bias until their events are counted."""
        known = np.arange(len(self.items)) if rows is None else np.flatnonzero(rows >= 0)
        before = known if rows is None else rows[known]
        ids = np.zeros((catalogue.n_items, self.items.shape[1]), np.float32)
        bias = np.full(catalogue.n_items, np.nan, np.float32)
        bias[known] = self.weights["bias"][before]
        if rows is None:
            ids[known] = self.weights["ids"]
        else:
            ids[known] = self.items[before] - catalogue.vectors[known] @ self.weights["projection"]
        return {**self.weights, "ids": ids, "bias": bias}

    @classmethod
    def _trained(
        cls,
        train: Histories,
        catalogue: Catalogue,
        config: TransformerConfig,
        before: Arrays | None,
        clock: bool,
        backbone: Backbone | Arrays | None,
    ) -> Self:
        from nightreel.models.neural.transformer.training import trained  # torch, which the base install lacks

        weights = trained(train, catalogue, config, before, clock=clock, backbone=backbone)
        items = weights["ids"] + catalogue.vectors @ weights["projection"]
        return cls(weights, items.astype(np.float32), config.heads, config.window, clock, len(train.items))

    def with_scoring_params(self, config: TransformerConfig) -> Self:
        """The same model: it has no scoring parameters."""
        return self

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] logits of the next item; zeros for an empty history. Moments are not used."""
        scores = np.zeros((len(histories), len(self.items)), np.float32)
        filled = np.flatnonzero(histories.lengths > 0)
        states = self.states(histories, filled)
        scores[filled] = product(states, self.items.T) + np.asarray(self.weights["bias"])
        return scores

    def states(self, histories: Histories, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """[len(rows), dim] the state after the last event of each row; no row may be empty."""
        buckets = gap_buckets(histories, self.clock)
        lengths = np.minimum(histories.lengths[rows], self.window)
        padded = -(-lengths // STEP) * STEP
        found = np.zeros((len(rows), self.items.shape[1]), np.float32)
        for width in np.unique(padded).tolist():
            alike = np.flatnonzero(padded == width)
            for start in range(0, len(alike), max(1, BLOCK_TOKENS // width)):
                own = alike[start : start + max(1, BLOCK_TOKENS // width)]
                places = np.arange(width)[None, :]
                # Padding repeats the last event at the end, where attention is causal: it changes no state before it.
                ends, last = histories.indptr[1:][rows[own]], lengths[own] - 1
                at = (ends - lengths[own])[:, None] + np.minimum(places, last[:, None])
                inputs = self.items[histories.items[at]] + np.asarray(self.weights["gaps"])[buckets[at]]
                found[own] = self._last_states(inputs, last)
        return found

    def rating_residuals(self, histories: Histories, rows: IntArray, items: IntArray) -> FloatArray:
        """Predict ratings less user and item biases.

        Args:
            histories: One row a user.
            rows: [n] rows of `histories`.
            items: [n] the item rated by each.

        Returns:
            [n] residuals; 0 without a rating head or a history.
        """
        found = np.zeros(len(rows))
        filled = np.flatnonzero(histories.lengths[rows] > 0)
        if "rating" in self.weights and len(filled):
            states = self.states(histories, rows[filled]) @ self.weights["rating"]
            found[filled] = np.einsum("nd,nd->n", states, self.items[items[filled]])
        return found

    def _last_states(self, inputs: npt.NDArray[np.float32], last: IntArray) -> npt.NDArray[np.float32]:
        if FORM not in self.weights:
            return last_states(self.weights, self.heads, inputs, last)
        from nightreel.models.neural.transformer import pretrained_numpy

        return pretrained_numpy.last_states(self.weights, inputs, last)

    def arrays(self) -> Arrays:
        """The weights, the items' vectors, and heads, window, clock and events as `shape`."""
        shape = np.array([self.heads, self.window, int(self.clock), self.events])
        return {
            **{name: np.asarray(array) for name, array in self.weights.items()},
            "items": self.items,
            "shape": shape,
        }

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`; nothing is copied."""
        weights = {name: array for name, array in arrays.items() if name not in ("items", "shape")}
        heads, window, clock, events = [*(int(value) for value in arrays["shape"]), 0][:4]
        return cls(weights, np.asarray(arrays["items"]), heads, window, bool(clock), events)
