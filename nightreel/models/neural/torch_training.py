"""What members learned by gradient descent share. Torch is imported only once something is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Weights = dict[str, npt.NDArray[np.float32]]


@contextmanager
def seeded(seed: int) -> Iterator[torch.device]:
    """The device to train on (CUDA, else Apple's GPU, else the CPU), while torch's random numbers follow from the seed.

    The same seed, device and number of threads give the same weights; outside, torch's generators go on as before.
    """
    import torch

    cuda = torch.cuda.is_available()
    # Apple's GPU has its own generator, which fork_rng leaves alone; manual_seed sets that one too.
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count())) if cuda else []):
        torch.manual_seed(seed)
        yield torch.device("cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu")


def plain(network: torch.nn.Module) -> Weights:
    """The parameters by name, as float32 arrays."""
    return {name: value.detach().cpu().float().numpy().copy() for name, value in network.named_parameters()}


def sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)
