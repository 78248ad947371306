"""A transcript holds what was said, not what a model goes on with where it hears no words of its language."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.understanding.media_files import speech
from nightreel.understanding.media import speech_to_text
from nightreel.understanding.media.speech_to_text import Speech

ENGLISH = "A boy and his dog get lost on a hill and meet a talking cat who brings them home. The weather is fine today."
OTHERS = {
    "cmn": "小明和他的小狗在山里迷了路，遇到了一只会说话的猫，猫带他们找到了回家的路。今天天气很好，我们去公园玩吧。",
    "ru": "Мальчик и его собака заблудились в горах и встретили говорящего кота, который привёл их домой.",
    "es": "Un niño y su perro se pierden en la montaña y encuentran un gato que habla.",
}


@pytest.fixture(scope="module")
def tiny() -> Speech:
    return Speech.locate("tiny.en", -1.0)


def test_english_is_heard(tiny: Speech) -> None:
    found = tiny.transcribe(speech(ENGLISH), "")
    assert "talking cat" in found["text"] and found["score"] > -0.6


@pytest.mark.parametrize("voice", sorted(OTHERS))
def test_another_language_gives_no_invented_words(tiny: Speech, voice: str) -> None:
    found = tiny.transcribe(speech(OTHERS[voice], voice), "")
    assert found.keys() == {"skipped"} and found["skipped"].startswith("transcript rejected: ")


@dataclass
class Piece:
    text: str
    start: float
    end: float
    avg_logprob: float = -0.2
    compression_ratio: float = 1.2
    no_speech_prob: float = 0.1


@dataclass
class Model:
    """A model with several languages that says what it is told to."""

    pieces: list[Piece]
    probability: float = 0.9
    detected: tuple[str, float] = ("zh", 0.95)
    supported_languages: list[str] = field(default_factory=lambda: ["en", "de", "zh"])

    def transcribe(self, wave: Any, language: str | None, **more: Any) -> tuple[list[Piece], Any]:
        return self.pieces, SimpleNamespace(language=language or "zh", language_probability=self.probability)

    def detect_language(self, wave: Any) -> tuple[str, float, list[Any]]:
        return (*self.detected, [])


def transcript(model: Model, language: str = "") -> dict[str, Any]:
    made = Speech("a-model", Path(), -1.0)
    vars(made)["_model"] = model
    return made.transcribe(np.zeros(16_000, np.int16), language)


def test_each_sign_of_invention_has_its_reason() -> None:
    said = [Piece(f"Sentence number {n} is its own.", n, n + 1) for n in range(4)]
    assert transcript(Model(said))["text"].startswith("Sentence number 0")
    often = [Piece("I'm only here to know.", n, n + 1) for n in range(13)]
    assert transcript(Model(often)) == {"skipped": "transcript rejected: it repeats itself"}
    pressed = [Piece("la la la la", 0, 9, compression_ratio=5.7), *said[:1]]
    assert transcript(Model(pressed)) == {"skipped": "transcript rejected: it repeats itself"}
    silent = [Piece("Thanks for watching.", 0, 9, no_speech_prob=0.8)]
    assert transcript(Model(silent)) == {"skipped": "transcript rejected: probably nobody speaks"}
    assert transcript(Model(said, probability=0.3)) == {"skipped": "transcript rejected: its language is unsure (0.30)"}
    assert transcript(Model(said), "de") == {
        "skipped": "transcript rejected: it is in zh (0.95), the catalogue says de"
    }
    assert "text" in transcript(Model(said, detected=("zh", 0.6)), "de")


def test_an_invented_end_is_left_out_alone() -> None:
    said = [Piece(f"Sentence number {n} is its own.", n, n + 1) for n in range(4)]
    found = transcript(Model([*said, Piece("Thanks for watching.", 4, 5, no_speech_prob=0.9)]))
    assert [segment[2] for segment in found["segments"]] == [piece.text for piece in said]


def test_a_chorus_may_come_back() -> None:
    song = [Piece("Row, row, row your boat.", 0, 1), Piece("Gently down the stream.", 1, 2)] * 3
    assert "text" in transcript(Model(song)) and speech_to_text.REPEATED == 4
