"""Texts to vectors: any sentence encoder in transformers' format, in blocks of fixed shape.

Source: Reimers and Gurevych, "Sentence-BERT" (2019); the default encoder is all-MiniLM-L6-v2.
Memory: the weights (90 MB for MiniLM in float32) and one block. Ceiling: some 100 texts of 40 tokens a second and core
without a GPU, so a first run over a million items wants one.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tasks.content.device import choose_device, choose_dtype
from tasks.content.network import Network
from tasks.content.source import Source, locate
from tasks.data.environment import cpu_features
from tasks.data.histories import IntArray, ItemArray
from tasks.settings import Embed

Vectors = npt.NDArray[np.float32]
Report = Callable[[int, float], None]
"""Called with the number of texts done and the share of the work done."""


@dataclass(frozen=True)
class Encoder:
    """An encoder ready to encode. Two equal texts get equal bytes, whatever stands beside them.

    To that end every block has one of a few fixed shapes: a text is padded to the next multiple of `length_step`
    tokens, and a block of that length always has the same number of rows, missing ones filled with padding.
    weights: hash of what the network was loaded from.
    """

    network: Network
    source: Source
    weights: str
    settings: Embed
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def open(cls, settings: Embed) -> Encoder:
        """The encoder that the settings name, on the device and in the type they name; raises SettingsError."""
        source = locate(settings)
        return cls.of(Network.open(source.folder), source, source.digest(), settings)

    @classmethod
    def of(cls, network: Network, source: Source, weights: str, settings: Embed) -> Encoder:
        """An encoder of a float32 network, which is copied, not changed."""
        device = choose_device(settings)
        dtype = choose_dtype(settings, device)
        model = copy.deepcopy(network.model).to(device=device, dtype=dtype)
        return cls(replace(network, model=model), source, weights, settings, device, dtype)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.network.dim

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read."""
        return min(self.settings.max_tokens, self.network.most_tokens)

    def card(self) -> dict[str, Any]:
        """What was used to encode, for the stage's output: no path, no time."""
        return {
            "encoder": self.source.name, "revision": self.source.revision, "licence": self.source.licence,
            "weights": self.weights, "dtype": str(self.dtype).removeprefix("torch."), "dim": self.dim,
            "max_tokens": self.max_tokens, "pooling": self.network.pooling,
        }  # fmt: skip

    def fingerprint(self) -> str:
        """sha256 of all that decides a text's bytes: files, type, shapes, and the machine's way of computing."""
        machine = {
            "device": self.device.type, "threads": torch.get_num_threads(), "cpu": cpu_features(Path("/proc/cpuinfo")),
            "torch": torch.__version__, "transformers": version("transformers"),
        }  # fmt: skip
        shape = {"block_tokens": self.settings.block_tokens, "length_step": self.settings.length_step}
        return hashlib.sha256(json.dumps([self.card(), machine, shape], sort_keys=True).encode()).hexdigest()

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] float32 rows of unit length; the row of an empty text is zero."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for rows, block in self.blocks(texts, report):
            vectors[rows] = block
        return vectors

    def blocks(self, texts: Sequence[str], report: Report | None = None) -> Iterator[tuple[IntArray, Vectors]]:
        """(positions in texts, their vectors) a block, the longest texts first; empty texts are left out."""
        tokens = self.network.tokens(texts, self.max_tokens)
        rows_of: dict[int, list[int]] = defaultdict(list)
        for at in np.argsort([-len(t) for t in tokens], kind="stable"):
            if texts[at]:
                rows_of[self._padded(len(tokens[at]))].append(int(at))
        work = sum(length * len(rows) for length, rows in rows_of.items())
        done, worked = 0, 0
        for length, rows in rows_of.items():
            n = max(1, self.settings.block_tokens // length)
            for start in range(0, len(rows), n):
                here = rows[start : start + n]
                yield np.array(here, np.int64), self._block([tokens[at] for at in here], length, n)
                done, worked = done + len(here), worked + length * len(here)
                if report:
                    report(done, worked / work)

    def _padded(self, length: int) -> int:
        step = self.settings.length_step
        return min(-(-length // step) * step, self.max_tokens)

    def _block(self, tokens: list[ItemArray], length: int, n: int) -> Vectors:
        ids, mask = self.network.batch(tokens, length, n)
        with torch.inference_mode():
            vectors = self.network.forward(ids.to(self.device), mask.to(self.device))
        return vectors[: len(tokens)].cpu().numpy()
