"""The environment that computed bytes may depend on: device, number type, threads, CPU features."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

TELLING = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimdhp",
    "bf16",
    "i8mm",
    "sve",
)
"""CPU features that decide which kernels a numeric library selects."""


def describe() -> dict[str, Any]:
    """Facts about the environment that do not change from run to run on one machine."""
    cpuinfo = Path("/proc/cpuinfo")
    features = cpu_features(cpuinfo)
    device = _device()
    native = device == "cuda" or pays_bf16(cpuinfo)
    return {
        "device": device,
        "dtype": "bfloat16" if native else "float32",
        "threads": _threads(),
        "cpu_features": features,
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()}-{platform.machine()}",
    }


def pays_bf16(cpuinfo: Path) -> bool:
    """Whether bfloat16 products are faster than float32 ones on this CPU.

    AMX tiles: 2.5 times the whole encoder. `avx512_bf16` alone: AMD's run at twice the float32 rate by its
    documents (not measured here); Intel's at half of it (79 against 150 GFLOP/s, measured on an Emerald Rapids
    whose AMX the hypervisor hides), so there float32 stays.
    """
    features = cpu_features(cpuinfo)
    if "amx_bf16" in features:
        return True
    return "avx512_bf16" in features and "AuthenticAMD" in cpuinfo.read_text("utf-8", errors="replace")


def cpu_features(cpuinfo: Path) -> list[str]:
    """Relevant features of the first CPU, sorted; none if the file can't be read (macOS)."""
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return sorted(set(flags.partition(":")[2].split()) & set(TELLING))


def _device() -> str:
    """By device nodes, because importing torch would cost two seconds in every run."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") and Path("/dev/nvidia0").exists():
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"


def _threads() -> int:
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
