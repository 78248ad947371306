"""Text vectors from any sentence encoder in transformers' format, in blocks of fixed shape.

Source: Reimers and Gurevych, "Sentence-BERT" (2019); the default encoder is all-MiniLM-L6-v2.
Memory: the weights (90 MB for MiniLM in float32) and one block. Throughput: about 100 texts of 40 tokens per second and
core without a GPU, so a first run over a million items needs one.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nightreel.content.encoders.backends import EncoderBackend, open_engine
from nightreel.content.encoders.base import Report, Vectors
from nightreel.content.encoders.device import Placement, choose_place
from nightreel.content.encoders.model_source import ModelSource, locate
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.data.environment import cpu_features
from nightreel.data.histories import IntArray, ItemArray
from nightreel.settings.embed import Embed


def padded_length(length: int, parts: int) -> int:
    """The next of the lengths that divide each doubling into `parts // 2`: 17 → 18 and 100 → 104 for 16 parts."""
    step = max(1, (1 << (length - 1).bit_length()) // parts)
    return -(-length // step) * step


@contextmanager
def one_block_a_core(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """Workers that each compute a block on one core; a GPU has one worker.

    Concurrent blocks waste less time than products shared by all cores, especially if other processes use the cores,
    too, and a text's bytes don't depend on the number of cores.
    """
    cores = torch.get_num_threads()
    pool = ThreadPoolExecutor(cores if device.type == "cpu" else 1)
    torch.set_num_threads(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder. Equal texts get equal bytes, whatever other texts are encoded with them.

    For this, every block has one of a few fixed shapes and runs on one core: a text is padded to one of a few lengths
    (`padded_length`), and a block of that length always has the same number of rows, filled up with padding. weights:
    hash of what the network was loaded from.
    """

    network: EncoderNetwork
    source: ModelSource
    weights: str
    settings: Embed
    where: Placement
    engine: EncoderBackend

    @classmethod
    def open(cls, settings: Embed) -> Encoder:
        """Load the encoder that the settings name, on their device and in their type; raises SettingsError."""
        source = locate(settings)
        return cls.of(EncoderNetwork.open(source.folder), source, source.digest(), settings)

    @classmethod
    def of(cls, network: EncoderNetwork, source: ModelSource, weights: str, settings: Embed) -> Encoder:
        """Create an encoder from a float32 network, which is copied, not changed."""
        where = choose_place(settings)
        own = replace(network, model=copy.deepcopy(network.model))
        return cls(own, source, weights, settings, where, open_engine(own, where, settings))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.network.dim

    @property
    def place(self) -> str:
        """Kind of device that it runs on."""
        return str(self.where.device.type)

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read."""
        return min(self.settings.max_tokens, self.network.most_tokens)

    def card(self) -> dict[str, Any]:
        """Description of the encoder for the stage's output, without paths and times."""
        return {
            "encoder": self.source.name,
            "revision": self.source.revision,
            "licence": self.source.licence,
            "weights": self.weights,
            "dtype": str(self.where.dtype).removeprefix("torch."),
            "dim": self.dim,
            "engine": self.settings.engine,
            "max_tokens": self.max_tokens,
            "pooling": self.network.pooling,
        }

    def fingerprint(self) -> str:
        """sha256 of everything that determines a text's bytes: files, type, shapes, and the machine's kernels."""
        machine = {
            "device": self.place,
            "cpu": cpu_features(Path("/proc/cpuinfo")),
            "transformers": version("transformers"),
            **self.engine.provenance(),
        }
        shape = {"block_tokens": self.settings.block_tokens, "length_parts": self.settings.length_parts}
        return hashlib.sha256(json.dumps([self.card(), machine, shape], sort_keys=True).encode()).hexdigest()

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] float32 vectors of unit length; zero for an empty text."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for rows, block in self.blocks(texts, report):
            vectors[rows] = block
        return vectors

    def blocks(self, texts: Sequence[str], report: Report | None = None) -> Iterator[tuple[IntArray, Vectors]]:
        """Yield (positions in texts, their vectors) per block, longest texts first; empty texts are left out."""
        filled = [at for at, text in enumerate(texts) if text]
        tokens = dict(zip(filled, self.network.tokens([texts[at] for at in filled], self.max_tokens), strict=True))
        rows_of: dict[int, list[int]] = defaultdict(list)
        for at in sorted(filled, key=lambda at: -len(tokens[at])):
            rows_of[self._padded(len(tokens[at]))].append(at)
        plan = [
            (length, rows[start : start + self._rows(length)])
            for length, rows in rows_of.items()
            for start in range(0, len(rows), self._rows(length))
        ]
        work, done, worked = sum(length * len(rows) for length, rows in plan), 0, 0
        with one_block_a_core(self.where.device) as pool:
            found = pool.map(lambda block: self._block([tokens[at] for at in block[1]], block[0]), plan)
            for (length, rows), vectors in zip(plan, found, strict=True):
                yield np.array(rows, np.int64), vectors
                done, worked = done + len(rows), worked + length * len(rows)
                if report:
                    report(done, worked / work)

    def _padded(self, length: int) -> int:
        return min(padded_length(length, self.settings.length_parts), self.max_tokens)

    def _rows(self, length: int) -> int:
        return max(1, self.settings.block_tokens // length)

    def _block(self, tokens: list[ItemArray], length: int) -> Vectors:
        ids, mask = self.network.batch(tokens, length, self._rows(length))
        return self.engine.vectors(ids, mask)[: len(tokens)]
