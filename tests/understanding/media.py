"""Small media files, made here: tones and noise by numpy, a video whose colour changes every second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.understanding import media_files
from benchmarks.understanding.media_files import PICTURES_A_SECOND, RATE, Picture, Sound, write_sound

__all__ = ["RATE", "SENTENCE", "chord", "noise", "silence", "speech", "write_sound", "write_video"]
SENTENCE = "Good evening. A retired astronaut builds a rocket in the garden behind her house."


def speech(text: str = SENTENCE) -> Sound:
    return media_files.speech(text)


def chord(seconds: float) -> Sound:
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * f * t) * (1 + 0.3 * np.sin(2 * np.pi * 2 * t)) for f in (220.0, 277.2, 329.6, 440.0))
    return (np.asarray(wave) * 4000).astype(np.int16)


def noise(seconds: float) -> Sound:
    return np.random.default_rng(0).normal(0, 6000, int(seconds * RATE)).clip(-30000, 30000).astype(np.int16)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE), np.int16)


def write_video(
    path: Path, *, seconds: int = 6, keys_every: int = 10, sound: Sound | None = None, side: int = 64
) -> Path:
    """10 pictures a second, a colour a second; a key frame every `keys_every` pictures."""
    return media_files.write_video(path, _colours(seconds, side), side, keys_every, sound)


def _colours(seconds: int, side: int) -> Iterator[Picture]:
    for n in range(seconds * PICTURES_A_SECOND):
        picture = np.zeros((side, side, 3), np.uint8)
        picture[..., (n // 10) % 3] = 250
        picture[: n % side] = 90
        yield picture
