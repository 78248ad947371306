"""Small media files, made here: speech by eSpeak NG, tones and noise by numpy, videos by PyAV."""

from __future__ import annotations

import ctypes
from fractions import Fraction
from pathlib import Path

import av
import espeakng_loader
import numpy as np
import numpy.typing as npt

RATE = 16_000
SENTENCE = "Good evening. A retired astronaut builds a rocket in the garden behind her house."
Sound = npt.NDArray[np.int16]


def speech(text: str = SENTENCE) -> Sound:
    """The text, spoken: mono, 16 kHz."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    parts: list[npt.NDArray[np.int16]] = []

    def take(samples: ctypes._Pointer[ctypes.c_short], n: int, events: object) -> int:
        if n > 0:
            parts.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    callback = kind(take)
    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(callback)
    library.espeak_Synth(text.encode(), len(text.encode()) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Terminate()
    spoken = np.concatenate(parts).astype(float)
    at = np.arange(0, len(spoken) / rate, 1 / RATE) * rate
    return np.interp(at, np.arange(len(spoken)), spoken).astype(np.int16)


def chord(seconds: float) -> Sound:
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * f * t) * (1 + 0.3 * np.sin(2 * np.pi * 2 * t)) for f in (220.0, 277.2, 329.6, 440.0))
    return (np.asarray(wave) * 4000).astype(np.int16)


def noise(seconds: float) -> Sound:
    return np.random.default_rng(0).normal(0, 6000, int(seconds * RATE)).clip(-30000, 30000).astype(np.int16)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE), np.int16)


def write_sound(path: Path, sound: Sound) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return path


def write_video(
    path: Path, *, seconds: int = 6, keys_every: int = 10, sound: Sound | None = None, side: int = 64
) -> Path:
    """10 pictures a second, a colour a second; a key frame every `keys_every` pictures."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=10)
        video.width = video.height = side
        video.pix_fmt, video.gop_size, video.bit_rate = "yuv420p", keys_every, 400_000
        video.codec_context.time_base = Fraction(1, 10)
        video.codec_context.options = {"sc_threshold": "1000000000"}
        audio = out.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for n in range(seconds * 10):
            picture = np.zeros((side, side, 3), np.uint8)
            picture[..., (n // 10) % 3] = 250
            picture[: n % side] = 90
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None and sound is not None:
            whole = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            whole.sample_rate = RATE
            for piece in av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1024).resample(whole):
                out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
    return path
