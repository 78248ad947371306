"""What fitting content vectors to behaviour came to, kept for the nights that go on from this one.

Kept are the kind of the vectors, and of a fine-tuned encoder the weights that differ from the pre-trained ones: of two
layers of a small encoder some 14 MB, the same on every night that uses them. Fused vectors are fitted anew each night.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors.torch import load_file, save_file

from nightreel.content.encoders.model_source import locate
from nightreel.content.encoders.transformer import Encoder
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.content.training.contrastive import weights_digest
from nightreel.settings.embed import Embed
from nightreel.stage import read_json, write_json

STATE, CHANGED = "content.json", "encoder.safetensors"


@dataclass(frozen=True)
class KeptContent:
    """The content vectors' kind, and how they came about.

    Attributes:
        fitted: Kind of the vectors: `base` where fitting was no gain.
        before: All events that they were fitted to are before this time; None where no time tells them apart from what
            was held out.
        nights: Number of nights since they were fitted.
        folder: Where the changed weights are.
    """

    fitted: Literal["base", "finetuned", "fused"]
    before: float | None
    nights: int
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What `write` has written; None where it has not."""
        path = folder / STATE
        return cls(**read_json(path), folder=folder) if path.exists() else None

    def write(self, folder: Path) -> None:
        """Write the facts, and copy the changed weights."""
        folder.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {"fitted": self.fitted, "before": self.before, "nights": self.nights}
        write_json(folder / STATE, facts)
        if (self.folder / CHANGED).exists() and self.folder != folder:
            shutil.copyfile(self.folder / CHANGED, folder / CHANGED)

    def encoder(self, settings: Embed) -> tuple[Encoder, EncoderNetwork]:
        """The fine-tuned encoder, from the pre-trained one and the changed weights."""
        source = locate(settings)
        network = EncoderNetwork.open(source.folder)
        network.model.load_state_dict(load_file(self.folder / CHANGED), strict=False)
        return Encoder.of(network, source, weights_digest(network), settings), network


def write_changes(network: EncoderNetwork, folder: Path) -> None:
    """Write the weights of a fine-tuned network that differ from those of the folder that it was opened from."""
    before = EncoderNetwork.open(network.folder).model.state_dict()
    changed = {
        name: value.contiguous()
        for name, value in network.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(changed, folder / CHANGED)
