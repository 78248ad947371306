"""Device and number type of an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from nightreel.data.environment import pays_bf16
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError


@dataclass(frozen=True)
class Placement:
    """Device and number type."""

    device: torch.device
    dtype: torch.dtype


def choose_place(settings: Embed) -> Placement:
    """Device and type for the settings. Raises SettingsError if the device is missing."""
    device = choose_device(settings)
    return Placement(device, choose_dtype(settings, device))


def choose_device(settings: Embed) -> torch.device:
    """The device in the settings; `auto`: CUDA, else Apple's GPU, else the CPU; with OpenVINO the CPU. Raises
    SettingsError if it is missing."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = settings.device
    if settings.engine == "openvino":
        if wanted not in ("auto", "cpu"):
            raise SettingsError(
                f"embed.device: {wanted} is not supported by OpenVINO. Set it to cpu, or set embed.engine to torch."
            )
        return torch.device("cpu")
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[wanted]:
        raise SettingsError(f"embed.device: {wanted} is not available on this machine. Set it to auto or cpu.")
    return torch.device(wanted)


def choose_dtype(settings: Embed, device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> torch.dtype:
    """The number type in the settings; `auto`: bfloat16 if the device multiplies it natively and faster, else
    float32."""
    if settings.dtype != "auto":
        return torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and pays_bf16(cpuinfo) else torch.float32
