"""Training the transformer: torch and transformers' GPT-NeoX over item vectors; the only file of it that needs them.

What it learns from is the next event at every place of every history. Deterministic: the same data, setting, threads
and machine give the same bytes, since the work is bounded by a budget of events and never by a clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from nightreel.data.histories import Histories
from nightreel.models.base import Arrays, Catalogue
from nightreel.models.neural.sequences import Batch, batches, neighbourhood_factors, windows
from nightreel.models.neural.torch_training import seeded
from nightreel.models.neural.transformer.checkpoint import stacked
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.loss import TrainingTensors, loss_of
from nightreel.models.neural.transformer.network import TransformerNetwork, kept
from nightreel.models.neural.transformer.pretrained_training import Adapted, adapted
from nightreel.settings.backbone import Backbone

SEED = 20_261_122
BATCH_TOKENS = 1024  # events answered in a step, fewer where the data are few:
STEPS_A_PASS = 48  # at least so many steps go over all events
LEAST_BATCH = 128
WARM_UP = 0.05  # share of the budget
LAST_RATE = 0.02  # of the learning rate, at the end of the cosine
FIRST_SPREAD = 0.05  # of the ids' starting vectors
FULL_SOFTMAX = 2500  # items; more are sampled


def endless(train: Histories, width: int, most: int, generator: np.random.Generator) -> Iterator[Batch]:
    """Batches of pass after pass over the histories."""
    size = min(BATCH_TOKENS, max(LEAST_BATCH, len(train.items) // STEPS_A_PASS))
    while True:
        yield from batches(windows(train, width, generator, most), size, generator)


def rate_at(share: float) -> float:
    """The learning rate's factor when `share` of the budget is spent: a linear rise, then half a cosine."""
    if share < WARM_UP:
        return (share + 0.002) / WARM_UP
    turn = math.pi * (share - WARM_UP) / (1.0 - WARM_UP)
    return LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + math.cos(turn))


def optimise(network: TransformerNetwork, train: Histories, config: TransformerConfig, *, clock: bool) -> None:
    """AdamW until every event was answered `passes` times, or `tokens` million were; decay on matrices that are no
    look-up tables."""
    device = network.ids.device
    lessons = TrainingTensors.of(train, len(network.ids), clock, device, rated=network.rating is not None)
    parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for name, values in network.named_parameters():
        if not values.requires_grad:  # a checkpoint's own
            continue
        parts[name.startswith(("body.layers", "projection")) and values.ndim == 2].append(values)
    groups = [{"params": parts[1], "weight_decay": 0.01}, {"params": parts[0], "weight_decay": 0.0}]
    # In one pass over the numbers: as a chain of operations it took two fifths of a step over 20,000 items.
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    budget, spent = min(config.tokens * 1e6, config.epochs * len(train.items)), 0
    every = len(lessons.taken) <= FULL_SOFTMAX
    if not (train.lengths > 1).any():
        return
    most = config.row_windows
    for batch in endless(train, config.window, most, np.random.default_rng(SEED)):
        if spent >= budget:
            return
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * rate_at(spent / budget)
        optimiser.zero_grad()
        loss_of(network, lessons, batch, config.negatives, every).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        spent += int(batch[1].sum())


def trained(
    train: Histories,
    catalogue: Catalogue,
    config: TransformerConfig,
    before: Arrays | None,
    *,
    clock: bool,
    backbone: Backbone | Arrays | None = None,
) -> Arrays:
    """Arrays as `Transformer` keeps them, learned from `train`; `before`: those to continue from; backbone: a
    pretrained checkpoint to use, or what was kept of one.

    The global generator and torch's switches are as they were afterwards.
    """
    strict, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with seeded(SEED) as device:
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Sums are then the same on every machine, whatever its cores; batches are small, so two gain little.
        torch.set_num_threads(1)
        try:
            body = None if backbone is None else adapted(backbone, config.dim, config.window)
            network = TransformerNetwork(catalogue.vectors, catalogue.n_items, config, body)
            begin(network, train, before)
            network.to(device).train()
            optimise(network, train, config, clock=clock)
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
    return arrays_of(network)


def begin(network: TransformerNetwork, train: Histories, before: Arrays | None) -> None:
    """First weights: items near those taken near them, biases by use; or the weights `before`, where a bias that is NaN
    is an item's that they do not know. Raises ValueError where weights are missing or of another shape."""
    n_items, dim = network.ids.shape
    counts = np.bincount(train.items, minlength=n_items)
    use = np.log1p(counts).astype(np.float32)
    use -= use.mean()
    if before is None:
        start = {"ids": FIRST_SPREAD * neighbourhood_factors(train, n_items, dim), "bias": use}
        start["ids"][counts == 0] = 0.0
    else:
        start = {name: np.array(array) for name, array in before.items()}
        start["bias"] = np.where(np.isnan(start["bias"]), use, start["bias"])
        shapes = {name: values.shape for name, values in arrays_of(network).items()}
        if shapes != {name: values.shape for name, values in start.items()}:
            raise ValueError("cannot continue: the weights are another network's; fit anew")
    with torch.no_grad():
        for key, index, values in kept(network):
            if key in start:
                array = start[key] if index is None else start[key][index]
                values.copy_(torch.from_numpy(np.array(array)))


def arrays_of(network: TransformerNetwork) -> Arrays:
    """Parameters by name, those of the layers stacked; float32."""
    fixed = network.body.fixed() if isinstance(network.body, Adapted) else {}
    return stacked(kept(network)) | fixed
