"""The real default encoder, and texts of many lengths."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.content.encoders.transformer import Encoder
from nightreel.settings.embed import Embed
from nightreel.settings.params_file import load

ROOT = Path(__file__).parents[2]
TEXTS = [
    " ".join(["The quiet robot finds a garden beyond the last galaxy"] * repeat + [f"part {part}"])
    for repeat in (0, 1, 2, 5, 12, 30) for part in range(7)
]  # fmt: skip


@pytest.fixture(scope="session")
def embed_settings() -> Embed:
    """The repository's own settings, in float32 on the CPU."""
    return load(ROOT / "params.yaml").embed.model_copy(update={"dtype": "float32", "device": "cpu"})


@pytest.fixture(scope="session")
def encoder(embed_settings: Embed) -> Encoder:
    return Encoder.open(embed_settings)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS
