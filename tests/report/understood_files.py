"""The files that understand leaves for its page: films on two planted subjects, one with a video, one podcast."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.stage import write_json
from nightreel.understanding.media.thumbnails import thumbnails
from nightreel.understanding.schema import Understood
from tests.report.run_files import EVIL

N = 24
GENRES = (["Sci-Fi", "Drama"], ["Western"])


def write_understood(folder: Path) -> tuple[Path, Path]:
    """data and metrics folders. Even items are science fiction, odd ones westerns; item 0 is a video whose title would
    break a careless page, item 2 a French podcast, item 3 knows nothing."""
    data, metrics = folder / "data", folder / "metrics"
    rows = [
        {"item_id": f"i{n}", "title": EVIL if n == 0 else f"Film {n}", "genres": GENRES[n % 2], "language": "en",
         "media_type": "video", "description": f"A long ride, number {n}.", "creators": [f"Director {n % 2}"]}
        for n in range(N)
    ]  # fmt: skip
    rows[2] |= {"media_type": "podcast", "language": "fr", "genres": []}
    found = Understood([str(row["item_id"]) for row in rows])
    for n in range(N):
        if n != 3:
            found.put(
                n,
                "keywords",
                "text",
                "0" * 64,
                {"keywords": ["rocket" if n % 2 == 0 else "horse"], "keyword_scores": [0.5]},
            )
    found.put(2, "tags", "tags", "0" * 64, {"tags": ["Sci-Fi"], "tag_scores": [0.874]}, 0.874)
    found.put(0, "sentiment_score", "sentiment", "0" * 64, {"sentiment_score": -0.61, "sentiment": "negative"}, -0.61)
    found.put(0, "comment_tone", "comments", "0" * 64, {"comment_tone": 0.42, "comments_read": 17}, 0.42)
    segments = [{"start_s": 61.0, "end_s": 63.0, "text": "Good evening."}]
    found.put(0, "transcript", "speech", "0" * 64, {"transcript": "Good evening.", "segments": segments})
    found.put(
        0, "sound", "sound", "0" * 64, {"sound": [1.0], "speech_share": 0.9, "music_share": 0.1, "silence_share": 0.0}
    )
    jpegs = thumbnails(np.full((6, 32, 32, 3), 128, np.uint8), 16 / 9)
    frames = [(float(at), [1.0], jpeg) for at, jpeg in enumerate(jpegs)]
    found.put(0, "pictures", "pictures", "0" * 64, {"picture": [1.0], "frames": frames})
    found.skip(2, "transcript", "speech", "0" * 64, "no speech found")
    found.review.append({"item_id": "i5", "prompt": "0" * 64, "reason": "'Ned' is not in the text", "answer": EVIL})
    found.cards |= {"text": {"encoder": "mini"}, "tags": {"model": "a head"}, "pictures": {"model": "eyes"}}
    vectors = np.random.default_rng(0).normal(0, 0.2, (N, 8))
    vectors[np.arange(N), np.arange(N) % 2] += 1
    vectors[3] = 0
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    for path in (data / "validate", data / "understand", data / "embed"):
        path.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), data / "validate" / "items.parquet")
    found.write(data / "understand")
    write_json(data / "understand" / "understand.json", found.cards)
    np.save(data / "embed" / "vectors.npy", vectors.astype(np.float32))
    write_json(data / "snapshot" / "recipe.json", {"recipe": "abc123" * 8})
    quality = dict.fromkeys(("precision@1", "f1_micro", "f1_macro", "map", "tagged"), 0.7654)
    measured = {"texts": 2800, "labelled": 0.314, "right_where_labelled": 0.846}
    sentiment = {"read": 20, "positive": 4, "neutral": 0, "negative": 6, "measured": measured}
    comments = {"items": 5, "given": 1, "read": 23, "measured": {"rank_correlation": 0.627}}
    told = {"tags": {"learned": quality, "commonest": quality}, "sentiment": sentiment, "comments": comments}
    write_json(metrics / "understand.json", {"items": N, "with_prose": 23, **told})
    return data, metrics


def size(jpeg: bytes) -> tuple[int, int]:
    """Width and height."""
    codec = av.CodecContext.create("mjpeg", "r")
    (frame,) = codec.decode(av.Packet(jpeg))
    assert isinstance(frame, av.VideoFrame)
    return frame.width, frame.height
