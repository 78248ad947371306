"""Helpers of the neural models. Torch is imported only when a model is fitted."""

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
    """Seed torch's random numbers within the context; gives the device to train on (CUDA, else Apple's GPU, else CPU).

    The same seed and device give the same weights: one thread is used, so that sums don't depend on the number of
    cores. Batches are small, so more would gain little. Torch's generators and threads are restored afterwards.
    """
    import torch

    cuda, threads = torch.cuda.is_available(), torch.get_num_threads()
    # Apple's GPU has a generator of its own, which manual_seed sets, but fork_rng does not restore.
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count())) if cuda else []):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield torch.device("cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu")
        finally:
            torch.set_num_threads(threads)


def plain(network: torch.nn.Module) -> Weights:
    """The parameters as float32 arrays by name."""
    return {name: value.detach().cpu().float().numpy().copy() for name, value in network.named_parameters()}


def sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)
