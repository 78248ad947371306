"""Multimodal fusion: one vector per item from text, sound and pictures, a sum of projections fitted to behaviour.

Source: late fusion into a joint space by the contrastive loss of `contrastive.py`; modality dropout as in Neverova et
al., "ModDrop" (2016), so that items without one of the modalities are placed well, too.
Memory: the vectors of the modalities and the fused ones. Time: the number of steps is fixed, so it doesn't grow with
the catalogue; the vectors of a million items with pictures need 7 GB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nightreel.content.training.contrastive import contrastive_loss, draws, learning_rate_share
from nightreel.settings.fusion import Fusion as Settings

Vectors = npt.NDArray[np.float32]
Given = Mapping[str, Vectors]
"""Modality → [n, its width]; a zero row: the item lacks it."""
TEXT = "text"
BLOCK = 65_536
"""Items fused at once; bounds memory."""


@dataclass(frozen=True)
class Scale:
    """Shift and factor [width] after which a modality's vectors have about unit length and zero mean."""

    shift: Vectors
    factor: Vectors

    @classmethod
    def of(cls, name: str, vectors: Vectors) -> Scale:
        """Text stays as encoded; the others are standardised over the items that have them."""
        width = vectors.shape[1]
        if name == TEXT:
            return cls(np.zeros(width, np.float32), np.ones(width, np.float32))
        there = vectors[vectors.any(axis=1)]
        spread = there.std(axis=0, dtype=np.float64)
        factor = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0.0) / np.sqrt(width)
        return cls(there.mean(axis=0, dtype=np.float64).astype(np.float32), factor.astype(np.float32))

    def apply(self, vectors: Vectors) -> Vectors:
        """Zero rows stay zero."""
        moved: Vectors = (vectors - self.shift) * self.factor
        moved[~vectors.any(axis=1)] = 0.0
        return moved


@dataclass(frozen=True)
class Fused:
    """The fusion model. scales and weights ([width, dim]) of each modality; losses: (step from 1, loss)."""

    scales: dict[str, Scale]
    weights: dict[str, Vectors]
    losses: list[tuple[int, float]]

    def fuse(self, given: Given) -> Vectors:
        """[n, dim] vectors of unit length from the given modalities; zero for an item without any of them."""
        n = len(next(iter(given.values())))
        found = np.zeros((n, next(iter(self.weights.values())).shape[1]), np.float32)
        for start in range(0, n, BLOCK):
            block = found[start : start + BLOCK]
            for name, vectors in given.items():
                block += self.scales[name].apply(vectors[start : start + BLOCK]) @ self.weights[name]
            block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), np.float32(1e-12))
        return found

    def save(self, folder: Path) -> None:
        """Save weights and scales as safetensors."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{name}.weight": np.ascontiguousarray(weight) for name, weight in self.weights.items()}
        for name, scale in self.scales.items():
            tensors |= {f"{name}.shift": scale.shift, f"{name}.factor": scale.factor}
        save_file(tensors, folder / "fusion.safetensors")


def learn_fusion(
    given: Given, pairs: npt.NDArray[np.integer[Any]], popularity: npt.NDArray[Any], settings: Settings, seed: int
) -> Fused | None:
    """Train on pairs of items that the same users interacted with; deterministic in one environment.

    The text's projection starts as the identity and the others as random ones, which nearly preserve lengths and
    angles: training starts from the modalities side by side, and an item with text only from its text.

    Args:
        given: Vectors by modality, including text, whose width is that of the fused vector.
        pairs: [p, 2] item indices.
        popularity: [n_items] number of events of each item.
        settings: Settings of the fusion.
        seed: Random seed.

    Returns:
        The fusion model; None if fewer than `settings.pairs` pairs are usable.
    """
    there = np.stack([np.asarray(vectors.any(1)) for vectors in given.values()], 1)
    has_any = np.asarray(there.any(axis=1))
    usable = pairs[has_any[pairs].all(axis=1) & (pairs[:, 0] != pairs[:, 1])]
    if len(usable) < settings.pairs:
        return None
    scales = {name: Scale.of(name, vectors) for name, vectors in given.items()}
    scaled = {name: scales[name].apply(vectors) for name, vectors in given.items()}
    drawn = np.log(np.maximum(popularity, 1) / np.maximum(popularity, 1).sum())
    with _one_thread():
        weights, losses = _train(scaled, there, usable, drawn, settings, seed)
    return Fused(scales, weights, losses)


def _train(
    scaled: Given,
    there: npt.NDArray[np.bool_],
    pairs: npt.NDArray[Any],
    drawn: npt.NDArray[np.float64],
    settings: Settings,
    seed: int,
) -> tuple[dict[str, Vectors], list[tuple[int, float]]]:
    rng = np.random.default_rng(seed)
    dim = scaled[TEXT].shape[1]
    weights = {
        name: torch.from_numpy(_first(name, vectors.shape[1], dim, rng)).requires_grad_()
        for name, vectors in scaled.items()
    }
    optimiser = torch.optim.Adam(weights.values(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_share(step, settings.steps))
    losses = []
    for step, chosen in enumerate(draws(len(pairs), settings.pairs, settings.steps, seed), 1):
        left, right = pairs[chosen, 0], pairs[chosen, 1]
        items = np.concatenate([left, right])
        kept = dropped(there[items], settings.dropout, rng)
        ends = torch.tensor_split(_forward(scaled, weights, items, kept), 2)
        loss = contrastive_loss(ends[0], ends[1], left, right, drawn, settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append((step, float(loss.detach())))
    return {name: weight.detach().numpy() for name, weight in weights.items()}, losses


def _first(name: str, width: int, dim: int, rng: np.random.Generator) -> Vectors:
    if name == TEXT:
        return np.eye(width, dim, dtype=np.float32)
    random: Vectors = (rng.standard_normal((width, dim)) / np.sqrt(dim)).astype(np.float32)
    return random


def dropped(there: npt.NDArray[np.bool_], share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """`there` [n, modalities] with each one dropped with the given probability; an item that would lose all keeps
    all."""
    kept: npt.NDArray[np.bool_] = there & (rng.random(there.shape) >= share)
    lost = ~kept.any(axis=1)
    kept[lost] = there[lost]
    return kept


def _forward(
    scaled: Given, weights: Mapping[str, Tensor], items: npt.NDArray[Any], kept: npt.NDArray[np.bool_]
) -> Tensor:
    parts = [
        torch.from_numpy(vectors[items] * kept[:, [at]]) @ weights[name]
        for at, (name, vectors) in enumerate(scaled.items())
    ]
    return torch.nn.functional.normalize(torch.stack(parts).sum(0), dim=-1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The products are small, and the bytes must not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
