"""Decode the sound and pictures of one media file into arrays; runs in a process of its own, with limits.

    python decode_child.py FILE FOLDER '{"memory_mb": …, "seconds": …, "frames": …, "megapixels": …, "cpu_s": …}'

Writes facts.json and, where there are any, sound.npy ([n] int16, mono, 16 kHz) and frames.npy ([k, 224, 224, 3] uint8).
It imports nothing of the project, so that a file that crashes the decoder can't affect it. It opens this one file, as
one of the formats below: a playlist would make FFmpeg open others, and wait for more of them. It gives up the network
and the right to more privileges first.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

RATE = 16_000
SIDE = 224
FEWEST = 3
"""Number of key frames below which frames are taken at regular times instead."""

FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpc,mpeg,mpegts,"
    "mpegvideo,mxf,nut,ogg,rm,tta,w64,wav,webm,wv"
)
"""FFmpeg's containers and raw streams that hold all of their content themselves."""
NO_NEW_PRIVILEGES, NEW_USER, NEW_NETWORK = 38, 0x10000000, 0x40000000  # of Linux: prctl and unshare


def main(path: str, folder: str, text: str) -> None:
    """Decode under the limits; an error becomes a reason in facts.json."""
    limits = json.loads(text)
    network = _without_network()
    memory = limits["memory_mb"] << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_s"], limits["cpu_s"] + 5))
    facts: dict[str, Any] = {"network": network}
    for name, look in (("sound", _sound), ("frames", _frames)):
        try:
            facts[name] = look(path, Path(folder), limits)
        except MemoryError:
            facts[name] = {"skipped": f"needs more than {limits['memory_mb']:,} MB to decode"}
        except _UnknownFormat:
            facts[name] = {"skipped": "is of no media format that is read (a playlist, a list of files, …)"}
        except Exception as error:  # PyAV raises a class for each of FFmpeg's error codes
            facts[name] = {"skipped": f"can't be decoded ({type(error).__name__})"}
    Path(folder, "facts.json").write_text(json.dumps(facts), "utf-8")


class _UnknownFormat(Exception):
    """A file of a format that is not in FORMATS."""


def _without_network() -> str:
    """Give up the network and new privileges; returns why the network is still there, empty if it is gone."""
    if not sys.platform.startswith("linux"):
        return f"not on {sys.platform}"
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if system.unshare(NEW_NETWORK) == 0 or system.unshare(NEW_USER | NEW_NETWORK) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _opened(path: str) -> Any:
    """The file as a container; raises _UnknownFormat for a format that is not in FORMATS."""
    import av

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path}", options=options)
    except av.ArgumentError:  # FFmpeg's answer to a format outside the list
        raise _UnknownFormat from None


def _sound(path: str, folder: Path, limits: dict[str, int]) -> dict[str, Any]:
    import av
    import numpy as np

    with _opened(path) as container:
        if not container.streams.audio:
            return {"skipped": "has no sound"}
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        most, parts, n, cut = limits["seconds"] * RATE, [], 0, False
        try:
            for frame in container.decode(container.streams.audio[0]):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray().ravel())
                    n += len(parts[-1])
                if n >= most:
                    break
        except av.FFmpegError:
            cut = True  # a truncated file: the sound before the end counts
        if not n:
            return {"skipped": "its sound can't be decoded"}
        np.save(folder / "sound.npy", np.concatenate(parts)[:most], allow_pickle=False)
        return {"seconds": min(n, most) / RATE, "cut": cut}


def _frames(path: str, folder: Path, limits: dict[str, int]) -> dict[str, Any]:
    import av
    import numpy as np

    with _opened(path) as container:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            return {"skipped": "has no pictures"}
        width, height = streams[0].codec_context.width, streams[0].codec_context.height
        if width * height > limits["megapixels"] * 1_000_000:
            return {"skipped": f"its pictures of {width:,} × {height:,} are too large"}
        aspect = _shape(streams[0], width, height)
        keys, end = _key_times(container, streams[0], limits["seconds"])
    by_time = len(keys) < FEWEST
    if by_time:
        taken = _at_times(path, end, limits)
    else:
        chosen = np.unique(np.linspace(0, len(keys) - 1, limits["frames"]).round().astype(int))
        taken = _at_keys(path, [keys[at] for at in chosen])
    if not taken:
        return {"skipped": "its pictures can't be decoded"}
    np.save(folder / "frames.npy", np.stack([picture for _, picture in taken]), allow_pickle=False)
    times = [round(time, 3) for time, _ in taken]
    return {"times": times, "by": "time" if by_time else "key frames", "aspect": aspect}


def _shape(stream: Any, width: int, height: int) -> float:
    """Displayed aspect ratio (width to height): a pixel need not be square."""
    pixel = stream.sample_aspect_ratio
    return round(width / max(height, 1) * (float(pixel) if pixel else 1.0), 4)


def _key_times(container: Any, stream: Any, most: int) -> tuple[list[float], float]:
    """Times of the key frames, read from the packets without decoding them, and of the last packet, in seconds."""
    import av

    keys, end = [], 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            time = float(packet.pts * packet.time_base)
            if time > most:
                break
            end = max(end, time)
            if packet.is_keyframe:
                keys.append(time)
    except av.FFmpegError:
        pass  # truncated: the packets before count
    return sorted(set(keys)), end


def _at_keys(path: str, times: list[float]) -> list[tuple[float, Any]]:
    """The key frames at these seconds; nothing else is decoded."""
    import av

    taken = []
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        for time in times:
            try:
                container.seek(round(time / float(stream.time_base)), stream=stream)
                taken.append((time, _picture(next(container.decode(stream)))))
            except (av.FFmpegError, StopIteration):
                continue
    return taken


def _at_times(path: str, end: float, limits: dict[str, int]) -> list[tuple[float, Any]]:
    """Frames at regular times: everything up to the last of them is decoded."""
    import av

    count = limits["frames"]
    wanted = [end * (at + 0.5) / count for at in range(count)]
    taken: list[tuple[float, Any]] = []
    with _opened(path) as container:
        try:
            for frame in container.decode(container.streams.video[0]):
                time = float(frame.time or 0.0)
                if len(taken) == count or time > limits["seconds"]:
                    break
                if time >= wanted[len(taken)]:
                    taken.append((time, _picture(frame)))
        except av.FFmpegError:
            pass
    return taken


def _picture(frame: Any) -> Any:
    return frame.reformat(width=SIDE, height=SIDE, format="rgb24").to_ndarray()


if __name__ == "__main__":
    main(*sys.argv[1:])
