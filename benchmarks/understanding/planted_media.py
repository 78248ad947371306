"""A synthetic catalogue where taste depends on words, sounds and pictures, because no public data set can be shipped.

Planted: every item has a topic (stated in its title), a sound style and a picture style, independent of each other;
every user likes two topics, one sound style and one picture style. The probability of an event is proportional to the
item's popularity times e^(strength) for each of the three that the user likes. So each modality contributes information
that the other two lack. The vectors are the project's own, computed from generated media: three seconds of sound and
one picture an item, with a pitch, tempo, colour and scale that the style does not determine. No item occurs twice for a
user; the newest items have no training event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import Histories
from nightreel.understanding.media.decoding import RATE

WORDS = (
    ("harbour", "sailor", "storm", "lighthouse"), ("kitchen", "baker", "bread", "recipe"),
    ("rocket", "planet", "astronaut", "orbit"), ("violin", "orchestra", "conductor", "opera"),
    ("goalkeeper", "league", "stadium", "penalty"), ("detective", "murder", "alibi", "witness"),
    ("glacier", "penguin", "whale", "expedition"), ("startup", "investor", "software", "market"),
)  # fmt: skip
STYLES, LIKED_TOPICS, SECONDS, SIDE = 4, 2, 3, 224
STRENGTH = {"text": 2.0, "sound": 1.5, "picture": 1.5}
NEW_SHARE = 0.2
Wave = npt.NDArray[np.int16]
Picture = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """titles: [n]; sound_style, picture_style: [n]; new: [n] bool; histories: a row a user, in a random order, of items
    that are not new; asked: [users] one new item each that the user takes by the same law."""

    titles: list[str]
    sound_style: Ints
    picture_style: Ints
    new: npt.NDArray[np.bool_]
    histories: Histories
    asked: Ints


def world(*, users: int, items: int, events: int, seed: int) -> World:
    """The same arguments, the same world."""
    rng = np.random.default_rng(seed)
    topic, sound, picture = (rng.integers(0, kinds, items) for kinds in (len(WORDS), STYLES, STYLES))
    titles = [" ".join([*rng.permutation(WORDS[t])[:2], f"part {n}"]).capitalize() for n, t in enumerate(topic)]
    new = np.zeros(items, bool)
    new[rng.permutation(items)[: round(NEW_SHARE * items)]] = True
    likes = np.zeros((users, len(WORDS)))
    np.put_along_axis(likes, rng.permuted(np.tile(np.arange(len(WORDS)), (users, 1)), axis=1)[:, :LIKED_TOPICS], 1, 1)
    wanted = STRENGTH["text"] * likes[:, topic]
    wanted += STRENGTH["sound"] * (rng.integers(0, STYLES, users)[:, None] == sound)
    wanted += STRENGTH["picture"] * (rng.integers(0, STYLES, users)[:, None] == picture)
    wanted += rng.normal(0, 0.5, items)  # log appeal
    # The largest of log weights with Gumbel noise are a draw without replacement by those weights.
    drawn = wanted + rng.gumbel(size=wanted.shape)
    taken = np.argsort(-np.where(new, -np.inf, drawn), axis=1)[:, :events]
    taken = rng.permuted(taken, axis=1)
    histories = Histories.from_rows((row.tolist(), list(range(events))) for row in taken)
    return World(titles, sound, picture, new, histories, np.where(new, drawn, -np.inf).argmax(1))


def waves(styles: Ints, seed: int) -> list[Wave]:
    """A chord, an arpeggio, beats of noise, or a drone with a wobble, for each style of 0 to STYLES - 1."""
    rng = np.random.default_rng(seed)
    t = np.arange(SECONDS * RATE) / RATE
    made: tuple[Callable[[float, float], Floats], ...] = (
        lambda pitch, tempo: sum((np.sin(2 * np.pi * pitch * k * t) for k in (1, 1.25, 1.5)), np.zeros(len(t))),
        lambda pitch, tempo: np.sin(2 * np.pi * pitch * 2 ** (np.floor(t * tempo * 2) % 4 / 4) * 2 * t),
        lambda pitch, tempo: rng.normal(size=len(t)) * np.exp(-8 * (t * tempo % 1)),
        lambda pitch, tempo: np.sign(np.sin(2 * np.pi * pitch / 2 * t)) * (1 + 0.5 * np.sin(2 * np.pi * tempo * t)),
    )
    found = []
    for style in styles:
        wave = made[style](rng.uniform(150, 500), rng.uniform(1, 4))
        wave = wave / np.abs(wave).max() * rng.uniform(2000, 12000) + rng.normal(0, 150, len(t))
        found.append(wave.astype(np.int16))
    return found


def pictures(styles: Ints, seed: int) -> Picture:
    """[n, SIDE, SIDE, 3]: stripes, a chequerboard, discs, or clouds, for each style, in two colours of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    made: tuple[Callable[[float], Floats], ...] = (
        lambda scale: np.sin(2 * np.pi * scale * y) > 0,
        lambda scale: (np.sin(2 * np.pi * scale * y) > 0) ^ (np.sin(2 * np.pi * scale * x) > 0),
        lambda scale: _discs(x, y, scale, rng),
        lambda scale: _clouds(scale, rng),
    )
    found = np.empty((len(styles), SIDE, SIDE, 3), np.uint8)
    for n, style in enumerate(styles):
        mask = made[style](rng.uniform(3, 9)).astype(float)[..., None]
        one, other = rng.uniform(0, 255, (2, 3))
        found[n] = np.clip(mask * one + (1 - mask) * other + rng.normal(0, 12, (SIDE, SIDE, 3)), 0, 255)
    return found


def _discs(x: Floats, y: Floats, scale: float, rng: np.random.Generator) -> Floats:
    middles = rng.random((round(2 * scale), 2))
    near: Floats = (np.min([(x - a) ** 2 + (y - b) ** 2 for a, b in middles], axis=0) < 0.006).astype(float)
    return near


def _clouds(scale: float, rng: np.random.Generator) -> Floats:
    waves = rng.normal(size=(SIDE, SIDE)) + 1j * rng.normal(size=(SIDE, SIDE))
    at = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE, 1 / SIDE), np.fft.fftfreq(SIDE, 1 / SIDE)))
    cloud: Floats = np.real(np.fft.ifft2(waves * np.exp(-((at / scale) ** 2))))
    return np.asarray((cloud - cloud.min()) / np.ptp(cloud), np.float64)
