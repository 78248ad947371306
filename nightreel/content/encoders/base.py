"""The interface of text encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import IntArray

Vectors = npt.NDArray[np.float32]
Report = Callable[[int, float], None]
"""Called with the number of finished texts and the share of the work done."""


class TextEncoder(Protocol):
    """Encodes texts as vectors. Equal texts get equal bytes, whatever other texts are encoded with them."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read."""
        ...

    @property
    def place(self) -> str:
        """Kind of device that it runs on."""
        ...

    def card(self) -> dict[str, Any]:
        """Description of the encoder for the stage's output, without paths and times."""
        ...

    def fingerprint(self) -> str:
        """sha256 of everything that determines a text's bytes."""
        ...

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] float32 vectors of unit length; zero for an empty text."""
        ...

    def blocks(self, texts: Sequence[str], report: Report | None = None) -> Iterator[tuple[IntArray, Vectors]]:
        """Yield (positions in texts, their vectors) per block; empty texts are left out."""
        ...
