"""Pre-training the later models of a night in worker processes.

A night trains an expensive model several times, on growing histories (nightreel.models.training.going_on.warm_start).
Where much of the data is new each time, as with histories of six events, every one is trained from scratch and so does
not depend on the one before: idle cores can train it ahead of time. The results are the same, byte for byte.
Memory: that of one training per worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing import active_children, get_context
from typing import Self

import numpy as np

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Recommender, TrainableAhead
from nightreel.models.config import ModelConfig
from nightreel.models.registry import spec
from nightreel.models.training.fit import Starting, WarmStart, fit_member
from nightreel.models.training.selected_params import SelectedParams
from nightreel.stage import log_progress, peak_memory

Trained = tuple[Recommender, float]


class ParallelFit:
    """Trains models in worker processes. A context manager; leaving it ends the processes.

    Attributes:
        memory: Peak memory of all workers together, in bytes.
    """

    def __init__(self, workers: int, catalogue: Catalogue, chain: Sequence[Histories], *, clock: bool) -> None:
        """Start no process yet.

        Args:
            workers: Maximum number of processes; with 0 nothing is trained ahead.
            catalogue: The items.
            chain: Training histories of the night in order, each of which contains the one before.
            clock: Whether times are epoch seconds, not positions.
        """
        self.catalogue, self.chain, self.clock, self.memory = catalogue, chain, clock, 0.0
        self.workers = min(workers, len(chain) - 1)
        # Spawned, because forking a process whose BLAS has threads may hang.
        self.pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) if self.workers else None
        self.jobs: list[tuple[str, Histories, ModelConfig, Future[Trained]]] = []

    def begin(self, choices: SelectedParams, then: Starting) -> WarmStart | None:
        """Start training on all histories but the first, with these hyper-parameters; returns `then(choices)`."""
        if self.pool is not None:
            for before, train in pairwise(self.chain):
                for name in choices.members:
                    cls, config = spec(name).cls, choices.config(name)
                    if issubclass(cls, TrainableAhead) and cls.trains_ahead(len(before.items), train, config):
                        job = self.pool.submit(_trained, name, train, self.catalogue, config, self.clock)
                        self.jobs.append((name, train, config, job))
        return then(choices)

    def ready(self, name: str, train: Histories, config: ModelConfig) -> Recommender | None:
        """Wait for the model that was started on `train` with `config`; None without one, or where its process was
        killed."""
        for model, data, own, job in self.jobs:
            alike = np.array_equal(data.indptr, train.indptr) and np.array_equal(data.items, train.items)
            if (model, own) == (name, config) and alike:
                try:
                    member, memory = job.result()
                except BrokenProcessPool:
                    log_progress(
                        f"{name}: its worker process was killed, most likely because memory ran out; training it here"
                    )
                    return None
                self.memory = max(self.memory, self.workers * memory)
                return member
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.pool is not None:
            if kind is not None:  # terminated at once, so that the error surfaces immediately
                for process in active_children():
                    process.terminate()
            self.pool.shutdown(cancel_futures=True)


def _trained(name: str, train: Histories, catalogue: Catalogue, config: ModelConfig, clock: bool) -> Trained:
    return fit_member(name, train, catalogue, config, clock=clock), peak_memory()
