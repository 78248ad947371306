"""The real default encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.content.encoders.transformer import Encoder
from nightreel.settings.params_file import Settings, load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def encoder(settings: Settings) -> Encoder:
    return Encoder.open(settings.embed.model_copy(update={"dtype": "float32", "device": "cpu"}))
