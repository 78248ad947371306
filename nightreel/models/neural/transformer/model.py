"""A content-aware transformer: a small decoder-only model over item vectors made of learned id and projected content.

Source: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, with what later work found to matter:
the loss over the whole catalogue (Klenitskiy and Vasilev, RecSys 2023), or sampled with correction where the catalogue
is large; rotary positions; content in the item's vector, so that a new item has one; the time between events as an
input where there is a clock. Ids start from the factors of the items' neighbourhoods and biases from their use, which
saves most of the training. It is built from transformers' GPT-NeoX and answers in numpy alone.
Memory: items x dim x 16 bytes and a batch's scores while fitting, items x dim x 8 while answering. Ceiling: `tokens`
bounds the time; a million cost about 70 s of one core at dim 128, one layer and 1,700 items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

BLOCK_TOKENS = 4096  # places held at once while answering: a few MB at dim 64
STEP = 8  # lengths are padded up to a multiple


@register(
    "transformer",
    config=TransformerConfig,
    paper="Kang & McAuley, ICDM 2018; Klenitskiy & Vasilev, RecSys 2023",
    cost="items x dim x 16 bytes while fitting; a million `tokens` cost about 70 s of a core",
    ceiling="`tokens` bounds the time",
)
@dataclass(frozen=True)
class Transformer:
    """A trained transformer. `python -m benchmarks.models.ablation` measures what its hyper-parameters are worth, and
    `benchmarks.models.joint_ratings` the second task (`rating_weight`), whose head shares all layers below it.

    weights: learned arrays; items: float32 [n_items, dim]; clock: whether gaps are in seconds and tell anything;
    events: those that it has learned from, 0 where an older version did not say.
    """

    weights: Mapping[str, npt.NDArray[Any]]
    items: npt.NDArray[np.float32]
    heads: int
    window: int
    clock: bool
    events: int

    @classmethod
    def fit(
        cls,
        train: Histories,
        catalogue: Catalogue,
        config: TransformerConfig,
        *,
        clock: bool,
        backbone: Backbone | None = None,
    ) -> Self:
        """From first weights that the data suggest, around layers of its own or those of a pretrained checkpoint.

        Raises SettingsError where that checkpoint can't be used."""
        return cls._learned(train, catalogue, config, None, clock, backbone)

    @property
    def pretrained(self) -> Arrays | None:
        """The weights, where the layers are a checkpoint's; going on keeps to it."""
        return {**self.weights} if FORM in self.weights else None

    @staticmethod
    def anew(events: int, train: Histories, config: TransformerConfig) -> bool:
        """Whether `train` is learned anew after a state that has learned from so many of its events."""
        return len(train.items) - events > config.most_new * len(train.items)

    def resumed(
        self,
        train: Histories,
        catalogue: Catalogue,
        config: TransformerConfig,
        *,
        clock: bool,
        rows: IntArray | None = None,
    ) -> Self:
        """Trained further: `resumed_passes` at `resumed_rate`; anew where more than `most_new` of the events are new to
        it. Items may come and move; the shape must stay.

        Raises ValueError where dim, layers, heads or the width of the content changed, or where items are gone.
        """
        mine = {"dim": self.items.shape[1]}
        if self.pretrained is None:
            mine |= {"layers": len(self.weights["layers.mlp.dense_h_to_4h.bias"]), "heads": self.heads}
        other = [name for name, value in mine.items() if getattr(config, name) != value]
        other += ["content"] if catalogue.vectors.shape[1] != len(self.weights["projection"]) else []
        if other or (rows is None and catalogue.n_items < len(self.items)):
            raise ValueError(f"cannot continue: {', '.join(other) or 'items'} changed; fit anew")
        if self.anew(self.events, train, config):
            return self._learned(train, catalogue, config, None, clock, self.pretrained)
        less = config.model_copy(update={"epochs": config.resumed_epochs, "learning_rate": config.resumed_rate})
        return self._learned(train, catalogue, less, self._placed(catalogue, rows), clock, self.pretrained)

    def _placed(self, catalogue: Catalogue, rows: IntArray | None) -> Arrays:
        """The weights for another catalogue. An item that is known stays where it was, whatever became of its content
        vector; one that is not stands where its content is, its bias NaN until its use is counted."""
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
    def _learned(
        cls,
        train: Histories,
        catalogue: Catalogue,
        config: TransformerConfig,
        before: Arrays | None,
        clock: bool,
        backbone: Backbone | Arrays | None,
    ) -> Self:
        from nightreel.models.neural.transformer.training import trained  # torch, which a reader does not have

        weights = trained(train, catalogue, config, before, clock=clock, backbone=backbone)
        items = weights["ids"] + catalogue.vectors @ weights["projection"]
        return cls(weights, items.astype(np.float32), config.heads, config.window, clock, len(train.items))

    def with_scoring_params(self, config: TransformerConfig) -> Self:
        """Nothing is chosen when asking."""
        return self

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] logits of the next item; zeros for an empty history. Moments are not used."""
        scores = np.zeros((len(histories), len(self.items)), np.float32)
        filled = np.flatnonzero(histories.lengths > 0)
        states = self.states(histories, filled)
        scores[filled] = product(states, self.items.T) + np.asarray(self.weights["bias"])
        return scores

    def states(self, histories: Histories, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """[len(rows), dim] what the model expects after the last event of each row; rows may not be empty."""
        buckets = gap_buckets(histories, self.clock)
        lengths = np.minimum(histories.lengths[rows], self.window)
        padded = -(-lengths // STEP) * STEP
        found = np.zeros((len(rows), self.items.shape[1]), np.float32)
        for width in np.unique(padded).tolist():
            alike = np.flatnonzero(padded == width)
            for start in range(0, len(alike), max(1, BLOCK_TOKENS // width)):
                own = alike[start : start + max(1, BLOCK_TOKENS // width)]
                places = np.arange(width)[None, :]
                # Padding at the end repeats the last event: nothing before it can see it.
                ends, last = histories.indptr[1:][rows[own]], lengths[own] - 1
                at = (ends - lengths[own])[:, None] + np.minimum(places, last[:, None])
                inputs = self.items[histories.items[at]] + np.asarray(self.weights["gaps"])[buckets[at]]
                found[own] = self._last_states(inputs, last)
        return found

    def foretold(self, histories: Histories, rows: IntArray, items: IntArray) -> FloatArray:
        """[n] by how much the rating of items [n] by rows [n] of the histories will differ from what the biases say; 0
        without a rating head or a history."""
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
        """The weights, the items' vectors, and the shape: heads, window, clock, events."""
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
