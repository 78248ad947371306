"""Training ahead: the later links of a night's chain, in processes beside.

Where much of every link's data is new, as with histories of six events, an expensive member learns anew at each link
(see nightreel.models.training.warm_start for the chain). It then needs nothing of the link before, and a core that would be idle
trains it meanwhile. The same bytes come of it. Memory: that of one training a worker.
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
from nightreel.models.base import Catalogue, Recommender
from nightreel.models.config import ModelConfig
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.registry import spec
from nightreel.models.training.fit import Starting, WarmStart, fit_member
from nightreel.models.training.selected_params import SelectedParams
from nightreel.stage import log_progress, peak_memory

Trained = tuple[Recommender, float]


class ParallelFit:
    """Use it in a `with`, which ends the processes. workers: at most so many, none trains nothing ahead; chain: each
    link holds the one before. memory: most bytes that they held together."""

    def __init__(self, workers: int, catalogue: Catalogue, chain: Sequence[Histories], *, clock: bool) -> None:
        self.catalogue, self.chain, self.clock, self.memory = catalogue, chain, clock, 0.0
        self.workers = min(workers, len(chain) - 1)
        # Spawned: a fork of a process whose BLAS has threads may hang.
        self.pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) if self.workers else None
        self.begun: list[tuple[str, Histories, Future[Trained]]] = []

    def begin(self, choices: SelectedParams, then: Starting) -> WarmStart | None:
        """Start on each link but the first, with these settings; returns what `then` says of them."""
        if self.pool is not None and choices.backbone is None:
            for before, train in pairwise(self.chain):
                for name, params in choices.members.items():
                    config = spec(name).config.model_validate(params)
                    if isinstance(config, TransformerConfig) and Transformer.anew(len(before.items), train, config):
                        job = self.pool.submit(_trained, name, train, self.catalogue, config, self.clock)
                        self.begun.append((name, train, job))
        return then(choices)

    def ready(self, name: str, train: Histories) -> Recommender | None:
        """A member that was begun ahead on `train`, waited for; None where its process was killed: whoever asks then
        trains it."""
        for begun, own, job in self.begun:
            if begun == name and np.array_equal(own.indptr, train.indptr) and np.array_equal(own.items, train.items):
                try:
                    member, memory = job.result()
                except BrokenProcessPool:
                    log_progress(
                        f"{name}: the process beside was killed, most likely for want of memory; it is trained here"
                    )
                    return None
                self.memory = max(self.memory, self.workers * memory)
                return member
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.pool is not None:
            if kind is not None:  # nobody waits minutes for an error
                for process in active_children():
                    process.terminate()
            self.pool.shutdown(cancel_futures=True)


def _trained(name: str, train: Histories, catalogue: Catalogue, config: ModelConfig, clock: bool) -> Trained:
    return fit_member(name, train, catalogue, config, clock=clock), peak_memory()
