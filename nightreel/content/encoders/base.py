"""The interface of text encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import IntArray

Vectors = npt.NDArray[np.float32]
Report = Callable[[int, float], None]
"""Called with the number of texts done and the share of the work done."""


class TextEncoder(Protocol):
    """Texts to vectors. Two equal texts get equal bytes, whatever stands beside them."""

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
        """The kind of device that it runs on."""
        ...

    def card(self) -> dict[str, Any]:
        """What encodes, for the stage's output: no path, no time."""
        ...

    def fingerprint(self) -> str:
        """sha256 of all that decides a text's bytes."""
        ...

    def encode(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] float32 rows of unit length; the row of an empty text is zero."""
        ...

    def blocks(self, texts: Sequence[str], report: Report | None = None) -> Iterator[tuple[IntArray, Vectors]]:
        """(positions in texts, their vectors) a block; empty texts are left out."""
        ...
