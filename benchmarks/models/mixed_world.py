"""A made-up catalogue of videos, music and podcasts in English, German and Chinese, with media files and behaviour.

    write(folder, users=400, items=480, media=120, seed=0)     # items.parquet, events.parquet, terms.txt, media/

Planted: an item has a language, a medium and one of eight genres. Titles and descriptions are written from the
templates of mixed_words.json; of some items the title says nothing, or there is no description, no genre or no
language. Media files, where there are any, speak the description or have a sound and pictures of the genre's style;
some are broken. A user likes one or two languages, two genres, and one medium more than another. An item can be taken
from its day of publication on, is liked best when it is new, and nobody takes one twice.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.understanding.media_files import PICTURES_A_SECOND, RATE, real_videos, speech, write_sound, write_video
from benchmarks.understanding.planted_media import SIDE, STYLES, pictures, waves

WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("mixed_words.json").read_text("utf-8"))
GENRES = tuple(WORDS["topics"])
LANGUAGES = {"en": 0.5, "de": 0.25, "zh": 0.25}
MEDIA = {"video": 0.5, "music": 0.25, "podcast": 0.25}
VOICES = {"en": "en", "de": "de", "zh": "cmn"}
START, DAYS, EVENTS = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 120, 18
OLD_SHARE = 0.5
"""Items that were there before the first event; the others come evenly through the days."""
SHARES = {"title that says nothing": 0.5, "no description": 0.25, "no genre": 0.4, "no language": 0.15}
SCENES, SCENE_S = 3, 2
REAL = (
    ("The rabbit wakes up", "A big rabbit comes out of its burrow, stretches and looks at the meadow. It is animated."),
    (
        "Bicycles in the street",
        "People on bicycles ride through a street. The camera stands still. Nobody says a word.",
    ),
)
"""Titles and descriptions of the two real videos."""
Row = dict[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Nature:
    """What an item is, whether or not its row tells: numbers into LANGUAGES, MEDIA and GENRES, and the day it comes."""

    language: Ints
    medium: Ints
    genre: Ints
    day: npt.NDArray[np.float64]


def write(folder: Path, *, users: int, items: int, media: int, seed: int = 0) -> None:
    """The same arguments, the same rows and files."""
    rng = np.random.default_rng(seed)
    day = np.where(rng.random(items) < OLD_SHARE, rng.uniform(-300, 0, items), rng.uniform(0, DAYS, items))
    nature = Nature(
        rng.choice(len(LANGUAGES), items, p=list(LANGUAGES.values())),
        rng.choice(len(MEDIA), items, p=list(MEDIA.values())), rng.integers(0, len(GENRES), items), day,
    )  # fmt: skip
    rows = [_row(n, nature, rng) for n in range(items)]
    (folder / "media").mkdir(parents=True, exist_ok=True)
    chosen = np.sort(rng.choice(items, media, replace=False))
    _write_media(folder, rows, nature, chosen, rng)
    _break(folder, rows, chosen)
    for row in rows:
        row.pop("spoken")
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in _KINDS.items()}
    pq.write_table(pa.table(columns), folder / "items.parquet")
    pq.write_table(_events(nature, users, rng), folder / "events.parquet")
    (folder / "terms.txt").write_text("made up by benchmarks/models/mixed_world.py\n", "utf-8")


_KINDS = {
    "item_id": pa.string(), "title": pa.string(), "description": pa.string(), "genres": pa.list_(pa.string()),
    "language": pa.string(), "media_type": pa.string(), "published_at": pa.timestamp("s", "UTC"),
    "media_uri": pa.string(),
}  # fmt: skip


def _row(n: int, nature: Nature, rng: np.random.Generator) -> Row:
    """An item's catalogue row, and as `spoken` the description that it has or would have."""
    language, medium = list(LANGUAGES)[nature.language[n]], list(MEDIA)[nature.medium[n]]
    genre = GENRES[nature.genre[n]]
    lacks = {name: rng.random() < share for name, share in SHARES.items()}
    nouns = rng.permutation(WORDS["topics"][genre][language])[:3]
    slots = {**dict(zip("abc", nouns, strict=True)), "n": n, "year": 1990 + n % 35}
    parts = (WORDS["openings"][language][medium], WORDS["middles"][language], WORDS["closings"][language])
    glue = "" if language == "zh" else " "
    spoken = glue.join(str(rng.choice(part)).format(**slots) for part in parts)
    titles = [WORDS["neutral"][language][medium]] if lacks["title that says nothing"] else WORDS["titles"][language]
    title = str(rng.choice(titles)).format(**slots)
    return {
        "item_id": f"{medium[0]}{n:04d}", "title": title[0].upper() + title[1:], "spoken": spoken,
        "description": None if lacks["no description"] else spoken, "genres": [] if lacks["no genre"] else [genre],
        "language": None if lacks["no language"] else language, "media_type": medium,
        "published_at": int(START.timestamp() + nature.day[n] * 86_400),
    }  # fmt: skip


def _write_media(folder: Path, rows: list[Row], nature: Nature, chosen: Ints, rng: np.random.Generator) -> None:
    """Podcasts speak, music sounds, videos have scenes with speech, music or no sound at all."""
    sounds = waves(nature.genre[chosen] % STYLES, int(rng.integers(2**31)))
    scenes = pictures(np.repeat(nature.genre[chosen] // 2, SCENES), int(rng.integers(2**31)))
    for at, n in enumerate(chosen.tolist()):
        row, voice = rows[n], VOICES[list(LANGUAGES)[nature.language[n]]]
        name = f"media/{row['item_id']}.{'mp4' if row['media_type'] == 'video' else 'wav'}"
        row["media_uri"] = name
        if row["media_type"] == "music":
            write_sound(folder / name, np.tile(sounds[at], 2))
        elif row["media_type"] == "podcast":
            write_sound(folder / name, speech(row["spoken"], voice))
        else:
            kind = rng.integers(0, 3)
            sound = (np.tile(sounds[at], 2), speech(row["spoken"], voice), None)[kind]
            length = SCENES * SCENE_S if sound is None else max(SCENES * SCENE_S, -(-len(sound) // RATE))
            own = scenes[at * SCENES : (at + 1) * SCENES]
            shown = (own[(n * SCENES) // (length * PICTURES_A_SECOND)] for n in range(length * PICTURES_A_SECOND))
            write_video(folder / name, shown, SIDE, PICTURES_A_SECOND, sound)


def _break(folder: Path, rows: list[Row], chosen: Ints) -> None:
    """Two real videos in place of made ones; the files of some others are cut, emptied, renamed, moved or swapped."""
    films = [n for n in chosen.tolist() if rows[n]["media_type"] == "video"]
    for n, path, (title, text) in zip(films, real_videos(folder / "media"), REAL, strict=False):
        (folder / rows[n]["media_uri"]).unlink()
        told = {"title": title, "description": text, "language": "en", "genres": []}
        rows[n] |= {"media_uri": f"media/{path.name}", **told}
    cut, empty, swapped, renamed, gone, outside, web, *others = [n for n in chosen.tolist() if n not in films[:2]][::11]
    for n in (cut, *others):
        path = folder / rows[n]["media_uri"]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    (folder / rows[empty]["media_uri"]).write_bytes(b"")
    (folder / rows[swapped]["media_uri"]).write_text("This is no film.\n" * 50, "utf-8")
    path = folder / rows[renamed]["media_uri"]
    path.rename(path.with_suffix(".txt"))
    rows[renamed]["media_uri"] = f"media/{path.stem}.txt"
    (folder / rows[gone]["media_uri"]).unlink()
    rows[outside]["media_uri"] = "../secret.mp4"
    rows[web]["media_uri"] = "http://127.0.0.1/film.mp4"


def _events(nature: Nature, users: int, rng: np.random.Generator) -> pa.Table:
    """About EVENTS a user: the largest of log weights with Gumbel noise are draws by those weights."""
    n = len(nature.day)
    appeal = rng.normal(0, 0.7, n)
    found: list[tuple[str, int, float]] = []
    for user in range(users):
        first, second = rng.choice(len(LANGUAGES), 2, replace=False, p=list(LANGUAGES.values()))
        likes = rng.permutation(len(GENRES))[:2]
        wanted = appeal + 3.0 * (nature.language == first) + 1.5 * (nature.language == second) * (user % 2)
        wanted += 2.0 * np.isin(nature.genre, likes) + rng.normal(0, 0.8, len(MEDIA))[nature.medium]
        days = np.sort(rng.uniform(rng.uniform(0, 0.6) * DAYS, DAYS, EVENTS))
        for day in days:
            age = day - nature.day
            now = wanted + 2.0 * np.exp(-np.maximum(age, 0) / 7) + rng.gumbel(size=n)
            item = int(np.where(age < 0, -np.inf, now).argmax())
            wanted[item] = -np.inf
            found.append((f"u{user:04d}", item, day))
    found.sort(key=lambda event: event[2])
    played = nature.medium[[item for _, item, _ in found]] == list(MEDIA).index("music")
    prefixes = [list(MEDIA)[medium][0] for medium in nature.medium]
    return pa.table({
        "user_id": [user for user, _, _ in found],
        "item_id": [f"{prefixes[item]}{item:04d}" for _, item, _ in found],
        "timestamp": [int(START.timestamp() + day * 86_400) for _, _, day in found],
        "event": ["play" if music else "watch" for music in played],
        "value": pa.array([None if music else 0.9 for music in played], pa.float64()),
    })  # fmt: skip
