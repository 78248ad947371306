"""Decode a media file's sound and pictures in a child process with limits of time and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel import child_environment
from nightreel.settings.understand import Media

RATE = 16_000
EXTRA = "run `pip install 'nightreel[media]'`"


@dataclass(frozen=True)
class Decoded:
    """sound: [n] int16, mono, 16 kHz; frames: [k, 224, 224, 3] uint8 at `times` seconds. None: see `*_reason`."""

    sound: npt.NDArray[np.int16] | None
    frames: npt.NDArray[np.uint8] | None
    times: tuple[float, ...]
    sound_reason: str = ""
    frames_reason: str = ""
    lasting: bool = True
    """Whether another attempt with other limits would have the same result."""
    repeatable: bool = True
    """Whether another attempt with the same limits would have the same result."""
    network: str = ""
    """Why the decoder had the network; empty if it had none."""
    aspect: float = 1.0
    """Displayed aspect ratio (width to height); `frames` are resized to squares."""


def missing(*modules: str) -> str:
    """Why media can't be processed with these modules; empty if all are installed."""
    absent = [module for module in modules if find_spec(module) is None]
    return f"{absent[0]} is not installed: {EXTRA}" if absent else ""


def decode(path: Path, settings: Media) -> Decoded:
    """Decode a file. Never raises for its content: the result has a reason instead."""
    limits = {
        "memory_mb": settings.memory_mb,
        "seconds": settings.most_seconds,
        "frames": settings.frames,
        "megapixels": settings.most_megapixels,
        "cpu_s": settings.decode_seconds,
    }
    with tempfile.TemporaryDirectory(prefix="nightreel-media-") as scratch:
        command = [sys.executable, "-P", str(Path(__file__).with_name("decode_child.py")), str(path.resolve()), scratch]
        try:
            done = subprocess.run(
                [*command, json.dumps(limits)],
                capture_output=True,
                timeout=settings.decode_seconds,
                check=False,
                cwd=scratch,
                env=child_environment.of_worker(os.environ),
            )
        except subprocess.TimeoutExpired:
            return _none(f"decoding took more than {settings.decode_seconds} s")
        facts = Path(scratch, "facts.json")
        if not facts.exists():
            killed = done.returncode == -signal.SIGKILL  # for want of memory in the whole system, perhaps
            return _none(f"the decoder exited with code {done.returncode}", repeatable=not killed)
        return _read(json.loads(facts.read_text("utf-8")), Path(scratch))


def _none(reason: str, *, repeatable: bool = True) -> Decoded:
    return Decoded(None, None, (), reason, reason, lasting=False, repeatable=repeatable)


def _read(facts: dict[str, Any], folder: Path) -> Decoded:
    def array(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, allow_pickle=False) if "skipped" not in facts[name] and path.exists() else None

    return Decoded(
        array("sound"),
        array("frames"),
        tuple(facts["frames"].get("times", ())),
        facts["sound"].get("skipped", ""),
        facts["frames"].get("skipped", ""),
        aspect=facts["frames"].get("aspect", 1.0),
        network=facts["network"],
    )
