"""Small JPEG thumbnails of frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

AREA = 160 * 90
"""Approximate pixels of a thumbnail, whatever its shape: 3 to 5 kB."""
QUALITY = 4
"""FFmpeg's JPEG quality: 2 is the best, 31 the smallest."""
WIDEST = 4.0
"""Maximum aspect ratio of a thumbnail, in either direction."""


def thumbnails(frames: npt.NDArray[np.uint8], aspect: float) -> list[bytes]:
    """A JPEG of each of [k, height, width, 3] frames, in the video's displayed aspect ratio."""
    import av

    shape = min(max(aspect, 1 / WIDEST), WIDEST)
    width, height = (max(16, round((AREA * ratio) ** 0.5 / 2) * 2) for ratio in (shape, 1 / shape))
    found = []
    for frame in frames:
        codec = av.CodecContext.create("mjpeg", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
        codec.time_base = Fraction(1, 1)
        codec.options = {"threads": "1"}
        codec.qmin = codec.qmax = QUALITY
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(width=width, height=height, format="yuvj420p")
        found.append(b"".join(bytes(packet) for packet in (*codec.encode(picture), *codec.encode(None))))
    return found
