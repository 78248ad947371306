"""An encoder compiled by OpenVINO for the CPU: one stream per core, one thread per stream.

The gain is largest on CPUs with AMX; `benchmarks/speed/encoding.py` measures it. The network is converted through
OpenVINO's frontend for torch, because `openvino.convert_model` reports each use to its vendor. Memory: a second copy of
the weights.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nightreel.content.encoders.base import Vectors
from nightreel.content.encoders.device import Placement
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.settings.section import SettingsError

INSTALL = "pip install 'nightreel[openvino]'"
LEAST_COSINE = 0.999
"""Minimum cosine to torch's float32 vectors; below it, compilation has changed the network."""
TRIAL = (2, 16)
"""Rows and tokens of the block with which a network is traced and compared."""


class Pooled(torch.nn.Module):
    """A network's forward pass as a module, which can be traced."""

    def __init__(self, network: EncoderNetwork) -> None:
        super().__init__()
        self.network, self.model = network, network.model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """[n, dim] rows of unit length."""
        return self.network.forward(ids, mask)


@dataclass(frozen=True)
class OpenVino:
    """library: the module `openvino`; streams: number of concurrent blocks."""

    library: Any
    network: EncoderNetwork
    place: Placement
    streams: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: threading.local = field(default_factory=threading.local)

    @classmethod
    def open(cls, network: EncoderNetwork, place: Placement) -> OpenVino:
        """Raises SettingsError if OpenVINO is not installed or does not support the type on this CPU."""
        try:
            import openvino
            import openvino.frontend.pytorch  # a part that some builds lack
        except ImportError as error:
            raise SettingsError(f"embed.engine: openvino can't be imported ({error}). {INSTALL}") from error
        known = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if place.dtype == torch.bfloat16 and "BF16" not in known:
            raise SettingsError(
                "embed.dtype: OpenVINO does not support bfloat16 on this CPU. Set it to auto or float32."
            )
        return cls(openvino, network, place, torch.get_num_threads())

    def provenance(self) -> dict[str, str]:
        """torch is included because it provides the graph that OpenVINO compiles."""
        return {"torch": torch.__version__, "openvino": self.library.get_version()}

    def vectors(self, ids: Tensor, mask: Tensor) -> Vectors:
        """[n, dim] float32 vectors of unit length. Raises SettingsError if the network can't be compiled."""
        if not hasattr(self.state, "request"):  # one per thread: two blocks at once would overwrite each other
            with self.lock:
                self.state.request = self._compiled.create_infer_request()
        return np.array(self.state.request.infer([ids.numpy(), mask.numpy()])[0])

    @cached_property
    def _compiled(self) -> Any:
        """Compiled for the first block: a run without new texts doesn't need it."""
        ids, mask = torch.ones(TRIAL, dtype=torch.int64), torch.ones(TRIAL, dtype=torch.int64)
        mask[-1, TRIAL[1] // 2 :] = 0  # a mask of ones only would be optimised away by the trace
        try:
            compiled = self.library.Core().compile_model(self._converted(ids, mask), "CPU", self._options())
            found = compiled([ids.numpy(), mask.numpy()])[0]
        except Exception as error:  # OpenVINO raises RuntimeError for what it can't do; tracing may raise anything
            what = (str(error.__cause__ or error).strip() or "no message").splitlines()[0][:200]
            raise SettingsError(
                f"embed.engine: openvino can't compile {self._name} ({what}). Set it to torch."
            ) from error
        with torch.inference_mode():
            cosine = float((self.network.forward(ids, mask).numpy() * found).sum(1).min())
        if not cosine >= LEAST_COSINE:
            raise SettingsError(
                f"embed.engine: openvino's vectors of {self._name} have a cosine of {cosine:.4f} to torch's. "
                "Set it to torch."
            )
        return compiled

    def _converted(self, ids: Tensor, mask: Tensor) -> Any:
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of the tracer about branches; the vectors are compared
            decoder = TorchScriptPythonDecoder(Pooled(self.network).eval(), example_input=(ids, mask))
        frontend = self.library.frontend.FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))

    def _options(self) -> dict[str, Any]:
        return {
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.streams,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if self.place.dtype == torch.bfloat16 else "f32",
        }

    @property
    def _name(self) -> str:
        return self.network.folder.name
