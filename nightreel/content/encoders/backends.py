"""Backends that compute an encoder's blocks: torch on any device, or OpenVINO on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nightreel.content.encoders.base import Vectors
from nightreel.content.encoders.device import Placement
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.settings.embed import Embed


class EncoderBackend(Protocol):
    """Computes vectors of blocks; may be called by several workers at once, each of which uses one core."""

    def provenance(self) -> dict[str, str]:
        """Libraries with versions that determine a vector's bytes."""
        ...

    def vectors(self, ids: Tensor, mask: Tensor) -> Vectors:
        """[n, dim] float32 vectors of unit length of token ids and mask, both [n, length] int64."""
        ...


@dataclass(frozen=True)
class Torch:
    """network: already on its device and in its type."""

    network: EncoderNetwork
    place: Placement

    def provenance(self) -> dict[str, str]:
        """Only torch."""
        return {"torch": torch.__version__}

    def vectors(self, ids: Tensor, mask: Tensor) -> Vectors:
        """[n, dim] float32 rows of unit length."""
        with torch.inference_mode():
            return self.network.forward(ids.to(self.place.device), mask.to(self.place.device)).cpu().numpy()


def open_engine(network: EncoderNetwork, place: Placement, settings: Embed) -> EncoderBackend:
    """Create the backend that the settings name; takes ownership of the network. Raises SettingsError."""
    if settings.engine == "openvino":
        from nightreel.content.encoders.openvino_backend import OpenVino  # an optional extra

        return OpenVino.open(network, place)
    network.model.to(device=place.device, dtype=place.dtype)
    return Torch(network, place)
