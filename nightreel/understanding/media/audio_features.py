"""Audio features: shares of speech, music and silence, and a vector of spectral statistics.

Source: means and deviations of log mel bands and of spectral shape, as in Tzanetakis and Cook, "Musical genre
classification of audio signals" (2002); speech by Silero's voice detector, which comes with faster-whisper.
Memory: a block of 30 s. Throughput: about 150 times real time on one core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from nightreel.understanding.media.decoding import RATE

Array = npt.NDArray[np.float64]
Wave = npt.NDArray[np.float32]
WINDOW, HOP = 1024, 512
BANDS = 32
BLOCK_S = 30
SILENT_DB = -50.0
"""Loudness of a second, relative to full scale, below which it is silent."""
LINES = 0.36
"""Prominence of sustained tones (standard deviation of the log spectrum) above which a second that is neither silent
nor speech counts as music. White and pink noise have 0.25 to 0.32, the songs of a metal band 0.4 to 0.9, a chord
1.9."""
AROUND, LOWEST = 41, 8
"""Frequency bins (of 16 Hz) around a tone, and those left out at the bottom, where noise is steep."""
SPOKEN = 0.25
"""Minimum share of speech in a second that counts as speech."""
DIM = 2 * (BANDS + 4)


def listen(sound: npt.NDArray[np.int16]) -> dict[str, Any]:
    """`speech`, `music` and `silence` (shares of the seconds; the rest is noise) and `vector` [DIM], of [n] int16."""
    wave = sound.astype(np.float32) / np.float32(32768)
    seconds = -(-len(wave) // RATE)
    flat = np.concatenate([features(wave[start : start + BLOCK_S * RATE]) for start in _starts(len(wave))])
    each = [wave[at * RATE : (at + 1) * RATE] for at in range(seconds)]
    silent = np.array([_decibels(second) < SILENT_DB for second in each])
    speech = _speech(wave, seconds) & ~silent
    music = ~silent & ~speech & np.array([_has_lines(second) for second in each])
    shares = {"speech": speech, "music": music, "silence": silent}
    vector = np.concatenate([flat.mean(0), flat.std(0)])
    return {
        **{name: round(float(flags.mean()), 4) for name, flags in shares.items()},
        "vector": [round(float(value), 5) for value in vector],
    }


def features(wave: Wave) -> Array:
    """[frames, BANDS + 4]: log mel bands; centroid (0–1 of the highest frequency), flatness, flux, zero crossings."""
    frames = _frames(wave)
    power = _power(frames)
    total = power.sum(1)
    centroid = power @ np.linspace(0, 1, power.shape[1]) / total
    flatness = np.exp(np.log(power).mean(1)) / power.mean(1)
    shape = power / total[:, None]
    flux = np.concatenate([[0.0], np.abs(np.diff(shape, axis=0)).sum(1)])
    crossings = (np.diff(np.signbit(frames), axis=1) != 0).mean(1)
    return np.column_stack([np.log10(power @ _mel().T + 1e-10), centroid, flatness, flux, crossings])


def _frames(wave: Wave) -> Wave:
    padded = np.pad(wave, (0, max(0, WINDOW - len(wave))))
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]


def _power(frames: Wave) -> Array:
    found: Array = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2 + 1e-10
    return found


def _has_lines(second: Wave) -> bool:
    """Whether tones last for the whole second: they are visible in the mean of its log spectra, where noise averages
    out."""
    spectra = np.log(_power(_frames(second)))
    mean = spectra.mean(0)
    lines = (mean - uniform_filter1d(mean, AROUND))[LOWEST:].std()
    # The mean of fewer spectra retains more of the noise's roughness.
    return bool(lines > LINES * np.sqrt(RATE / HOP / min(len(spectra), RATE / HOP)))


def _mel() -> Array:
    """[BANDS, WINDOW / 2 + 1] triangular bands, evenly spread on the mel scale."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    at = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands: Array = np.maximum(0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    return bands


def _starts(n: int) -> range:
    return range(0, max(1, n), BLOCK_S * RATE)


def _decibels(second: Wave) -> float:
    return float(20 * np.log10(max(1e-6, np.sqrt(np.mean(second.astype(np.float64) ** 2)))))


def _speech(wave: Wave, seconds: int) -> npt.NDArray[np.bool_]:
    """[seconds] whether a second is speech."""
    from faster_whisper.vad import get_speech_timestamps

    spoken = np.zeros(seconds * RATE, bool)
    for part in get_speech_timestamps(wave):
        spoken[part["start"] : part["end"]] = True
    flags: npt.NDArray[np.bool_] = spoken.reshape(seconds, RATE).mean(1) >= SPOKEN
    return flags
