"""Training the transformer with torch, to predict the next event at every position of every history.

It is deterministic: the same data, hyper-parameters and machine give the same bytes, since the budget is a number of
events, not a time.
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
BATCH_TOKENS = 1024  # events in a batch; fewer where the data are few, so that
STEPS_A_PASS = 48  # an epoch has at least this many steps
LEAST_BATCH = 128
WARM_UP = 0.05  # share of the budget with a rising learning rate
LAST_RATE = 0.02  # share of the peak learning rate at the end
FIRST_SPREAD = 0.05  # standard deviation of the initial ids
FULL_SOFTMAX = 2500  # items; larger catalogues use sampled negatives


def endless(train: Histories, width: int, most: int, generator: np.random.Generator) -> Iterator[Batch]:
    """Batches of one epoch after another, without end."""
    size = min(BATCH_TOKENS, max(LEAST_BATCH, len(train.items) // STEPS_A_PASS))
    while True:
        yield from batches(windows(train, width, generator, most), size, generator)


def rate_at(share: float) -> float:
    """Factor on the peak learning rate when `share` of the budget is spent: linear warm-up, then cosine decay."""
    if share < WARM_UP:
        return (share + 0.002) / WARM_UP
    turn = math.pi * (share - WARM_UP) / (1.0 - WARM_UP)
    return LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + math.cos(turn))


def optimise(network: TransformerNetwork, train: Histories, config: TransformerConfig, *, clock: bool) -> None:
    """Train in place with AdamW for `epochs`, or until `tokens` million events. Embeddings have no weight decay."""
    device = network.ids.device
    tensors = TrainingTensors.of(train, len(network.ids), clock, device, rated=network.rating is not None)
    parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for name, values in network.named_parameters():
        if not values.requires_grad:  # frozen, from a checkpoint
            continue
        parts[name.startswith(("body.layers", "projection")) and values.ndim == 2].append(values)
    groups = [{"params": parts[1], "weight_decay": 0.01}, {"params": parts[0], "weight_decay": 0.0}]
    # Fused: unfused, the optimiser took two fifths of a step with 20,000 items.
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    budget, spent = min(config.tokens * 1e6, config.epochs * len(train.items)), 0
    every = len(tensors.taken) <= FULL_SOFTMAX
    if not (train.lengths > 1).any():
        return
    most = config.row_windows
    for batch in endless(train, config.window, most, np.random.default_rng(SEED)):
        if spent >= budget:
            return
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * rate_at(spent / budget)
        optimiser.zero_grad()
        loss_of(network, tensors, batch, config.negatives, every).backward()  # type: ignore[no-untyped-call]
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
    """Train, and return the arrays that `Transformer` stores. Torch's global state is restored afterwards.

    Args:
        train: Positive events, one row a user.
        catalogue: The items.
        config: Hyper-parameters.
        before: Weights to continue from; None: from scratch.
        clock: Whether times are epoch seconds, not positions.
        backbone: A pretrained checkpoint, or the stored weights of one; None for layers of its own.
    """
    strict = torch.are_deterministic_algorithms_enabled()
    with seeded(SEED) as device:
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            body = None if backbone is None else adapted(backbone, config.dim, config.window)
            network = TransformerNetwork(catalogue.vectors, catalogue.n_items, config, body)
            begin(network, train, before)
            network.to(device).train()
            optimise(network, train, config, clock=clock)
        finally:
            torch.use_deterministic_algorithms(strict)
    return arrays_of(network)


def begin(network: TransformerNetwork, train: Histories, before: Arrays | None) -> None:
    """Initialise ids with co-occurrence factors and biases with item counts, or both with the weights `before`.

    There, a bias of NaN marks an item that is new to them.

    Raises:
        ValueError: Weights are missing or have another shape.
    """
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
            raise ValueError("can't warm-start: the weights are another network's; train from scratch")
    with torch.no_grad():
        for key, index, values in kept(network):
            if key in start:
                array = start[key] if index is None else start[key][index]
                values.copy_(torch.from_numpy(np.array(array)))


def arrays_of(network: TransformerNetwork) -> Arrays:
    """The parameters as float32 arrays by name; those of the layers are stacked."""
    fixed = network.body.fixed() if isinstance(network.body, Adapted) else {}
    return stacked(kept(network)) | fixed
