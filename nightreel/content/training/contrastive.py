"""Contrastive fine-tuning of the encoder: items that the same users interacted with move closer together.

Source: InfoNCE with in-batch negatives (van den Oord et al. 2018) and the logQ correction of Yi et al. 2019, "Sampling-
bias-corrected neural modeling": popular items are sampled as negatives more often, which log popularity corrects.
Memory: the weights twice, AdamW's moments of the trained layers, and one step's activations (0.4 GB for 64 pairs of 32
tokens). Time: the number of steps is fixed, so it doesn't grow with the catalogue; encoding it again does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nightreel.content.encoders.base import Report, Vectors
from nightreel.content.encoders.model_source import locate
from nightreel.content.encoders.transformer import Encoder, one_block_a_core, padded_length
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.content.progress import Progress
from nightreel.content.training.lora import fitted
from nightreel.data.histories import IntArray, ItemArray
from nightreel.errors import UserError
from nightreel.settings.embed import Embed, Tune
from nightreel.settings.fusion import Fusion

WARM_SHARE = 0.1
"""Share of the steps with a rising learning rate (warm-up), before the cosine decay."""


@dataclass(frozen=True)
class FinetunedEncoder:
    """The fine-tuned encoder. losses: (step from 1, loss) of every step; network: float32, written by `save`."""

    encoder: Encoder
    network: EncoderNetwork
    losses: list[tuple[int, float]]

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] float32 vectors of unit length; zero for an empty text."""
        return self.encoder.encode(texts, report)

    def save(self, folder: Path) -> None:
        """Save a folder in transformers' format (safetensors); as `embed.encoder` it gives the same vectors."""
        self.network.save(folder)


def finetune_encoder(
    settings: Embed,
    texts: Sequence[str],
    pairs: npt.NDArray[np.integer[Any]],
    popularity: npt.NDArray[Any],
    *,
    steps: int,
    batch: int,
    seed: int,
) -> FinetunedEncoder:
    """Train the last layers, or adapters in them, in float32 on the CPU; deterministic in one environment.

    Dropout is off: in so few steps it only adds noise.

    Args:
        settings: Settings of the encoder.
        texts: [n_items] texts.
        pairs: [P, 2] items with which the same user interacted.
        popularity: [n_items] number of events of each item.
        tune: What is trained.
        steps: Number of steps.
        batch: Pairs per step.
        seed: Random seed.

    Raises:
        UserError: There are fewer than two pairs.
    """
    filled = np.array([bool(text) for text in texts])
    usable = pairs[filled[pairs].all(1) & (pairs[:, 0] != pairs[:, 1])]
    if len(usable) < 2:
        raise UserError(
            "finetune.encoder_steps: fewer than two pairs of items with texts were taken by the same user, too few to "
            "fit the encoder to behaviour. Set it to 0, or give more events."
        )
    source = locate(settings)
    network = EncoderNetwork.open(source.folder)
    tokens = network.tokens(texts, min(settings.tune.max_tokens, network.most_tokens))
    drawn = np.log(np.maximum(popularity, 1) / np.maximum(popularity, 1).sum())
    losses = _train(network, tokens, usable, drawn, settings, steps=steps, batch=batch, seed=seed)
    encoder = Encoder.of(network, source, weights_digest(network), settings)
    return FinetunedEncoder(encoder, network, losses)


def _train(
    network: EncoderNetwork,
    tokens: list[ItemArray],
    pairs: npt.NDArray[Any],
    drawn: npt.NDArray[np.float64],
    settings: Embed,
    *,
    steps: int,
    batch: int,
    seed: int,
) -> list[tuple[int, float]]:
    tune = settings.tune
    trained = fitted(network.model, tune, steps, seed)
    optimiser = torch.optim.AdamW(trained.weights, lr=tune.learning_rate, weight_decay=tune.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_share(step, steps))
    progress = Progress("fine-tuning the encoder: step", steps)
    losses = []
    with one_block_a_core(torch.device("cpu")) as pool:
        for step, chosen in enumerate(draws(len(pairs), batch, steps, seed), 1):
            left, right = pairs[chosen, 0], pairs[chosen, 1]
            parts, place = _forward(pool, network, tokens, np.concatenate([left, right]), settings)
            vectors = torch.cat(parts).detach().requires_grad_()
            ends = torch.tensor_split(vectors[place], 2)
            loss = contrastive_loss(ends[0], ends[1], left, right, drawn, tune)
            (slope,) = torch.autograd.grad(loss, vectors)
            _backward(pool, parts, slope, trained.weights)
            trained.regularise()
            optimiser.step()
            trained.allot(step)
            schedule.step()
            losses.append((step, float(loss.detach())))
            progress(step, step / steps)
    trained.finish(network.model)
    return losses


def contrastive_loss(
    left: Tensor,
    right: Tensor,
    left_items: npt.NDArray[Any],
    right_items: npt.NDArray[Any],
    drawn: npt.NDArray[np.float64],
    tune: Tune | Fusion,
) -> Tensor:
    """Mean cross-entropy of identifying each pair's other item among the batch's, in both directions.

    left, right: [B, dim] unit vectors of the pairs' items; drawn: [n_items] log sampling probability of each item.
    Items of the batch that equal one of the pair's own are not used as negatives.
    """
    cosines = left @ right.T / tune.temperature
    same = (right_items[None, :] == right_items[:, None]) | (right_items[None, :] == left_items[:, None])
    also = (left_items[None, :] == left_items[:, None]) | (left_items[None, :] == right_items[:, None])
    target = torch.arange(len(left))
    forth = _logits(cosines, drawn[right_items], same)
    back = _logits(cosines.T, drawn[left_items], also)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(forth, target) + cross_entropy(back, target)) / 2


def _logits(cosines: Tensor, drawn: npt.NDArray[np.float64], false: npt.NDArray[np.bool_]) -> Tensor:
    mask = torch.from_numpy(false & ~np.eye(len(false), dtype=bool))
    corrected = cosines - torch.from_numpy(drawn).to(cosines.dtype)[None, :]
    return corrected.masked_fill(mask, -torch.inf)


def _forward(
    pool: ThreadPoolExecutor, network: EncoderNetwork, tokens: list[ItemArray], items: npt.NDArray[Any], settings: Embed
) -> tuple[list[Tensor], Tensor]:
    """Blocks of vectors with their graphs, each distinct item once, and the row of each of `items` in them."""
    distinct, back = np.unique(items, return_inverse=True)
    padded = [padded_length(len(tokens[item]), settings.length_parts) for item in distinct]
    order = np.argsort(padded, kind="stable")
    blocks: list[list[int]] = []
    for at in order:
        if blocks and padded[blocks[-1][0]] == padded[at] <= settings.block_tokens // (len(blocks[-1]) + 1):
            blocks[-1].append(int(at))
        else:
            blocks.append([int(at)])

    def vectors_of(block: list[int]) -> Tensor:
        rows = [tokens[distinct[at]] for at in block]
        return network.forward(*network.batch(rows, max(map(len, rows)), len(rows)))

    return list(pool.map(vectors_of, blocks)), torch.from_numpy(np.argsort(order)[back])


def _backward(pool: ThreadPoolExecutor, parts: list[Tensor], slope: Tensor, trained: list[Tensor]) -> None:
    """Set the trained weights' gradients, summed over the blocks in order, so that bytes are reproducible."""

    def gradients(block: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(block[0], trained, block[1])

    sums: list[Tensor] | None = None
    for found in pool.map(gradients, zip(parts, torch.split(slope, [len(part) for part in parts]), strict=True)):
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else list(found)
    for weight, gradient in zip(trained, sums or [], strict=True):
        weight.grad = gradient


def learning_rate_share(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step from 0: a linear rise, then a cosine down to zero."""
    warm = max(1, round(WARM_SHARE * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def draws(count: int, batch: int, steps: int, seed: int) -> Iterator[IntArray]:
    """`steps` samples of min(batch, count) of `count` pairs, without repetition until all were sampled."""
    rng = np.random.default_rng(seed)
    size = min(batch, count)
    waiting = np.empty(0, np.int64)
    for _ in range(steps):
        if len(waiting) < size:
            waiting = rng.permutation(count)
        yield waiting[:size]
        waiting = waiting[size:]


def weights_digest(network: EncoderNetwork) -> str:
    """sha256 over the weights' names and bytes."""
    sums = hashlib.sha256()
    for name, value in sorted(network.model.state_dict().items()):
        sums.update(name.encode())
        sums.update(value.contiguous().numpy().tobytes())
    return sums.hexdigest()
