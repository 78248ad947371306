import numpy as np
import pytest

from tasks.understanding.choosing import central, relevant_and_different, without_overlap
from tasks.understanding.phrases import phrases_of
from tasks.understanding.sentences import sentences_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He runs. She waits! Why? Nobody knows…", ["He runs.", "She waits!", "Why?", "Nobody knows…"]),
        ("Dr. Jones meets J. R. Smith at 5 p.m. in Rome. They talk.", ["Dr. Jones meets J. R. Smith at 5 p.m. in Rome.", "They talk."]),
        ('"Go away." He left. 12 men stay.', ['"Go away."', "He left.", "12 men stay."]),
        ("彼は走る。彼女は待つ！なぜ？", ["彼は走る。", "彼女は待つ！", "なぜ？"]),
        ("one line\nanother line", ["one line", "another line"]),
        ("version 2.5 is out", ["version 2.5 is out"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences_of(text) == expected


def test_phrases_are_content_words_and_short_runs_of_them() -> None:
    found = phrases_of("The lighthouse keeper finds a letter. The keeper's letter is old.", "en", 20)
    assert found == ["keeper", "letter", "lighthouse", "lighthouse keeper", "old"]


def test_the_limit_keeps_the_most_frequent() -> None:
    assert phrases_of("Robots, gardens, robots, moons.", "en", 1) == ["Robots"]


def test_scripts_without_spaces_give_words_not_lines() -> None:
    assert phrases_of("東京の夜にロボットが走る", "ja", 9) == ["東京", "ロボット"]
    assert phrases_of("卧虎藏龙", "zh", 9) == ["卧虎", "虎藏", "藏龙"]
    assert "外星人" not in phrases_of("外星人", "zh", 9) and "外星" in phrases_of("外星人", "zh", 9)


def test_a_language_without_a_list_leaves_short_words_out() -> None:
    assert phrases_of("On je u starom svjetioniku", "hr", 9) == ["starom", "svjetioniku", "starom svjetioniku"]


def test_marginal_relevance_by_hand() -> None:
    """The second is nearly the first: with diversity the third, farther from the text, is taken before it."""
    about = np.array([1.0, 0.0, 0.0], np.float32)
    angles = np.deg2rad([10.0, 12.0, 50.0])
    near = np.stack([np.cos(angles), np.sin(angles) * np.array([1, 1, -1]), np.zeros(3)], 1).astype(np.float32)
    assert relevant_and_different(about, near, 3, 0.0) == [0, 1, 2]
    assert relevant_and_different(about, near, 2, 0.5) == [0, 2]
    assert relevant_and_different(about, near[:0], 2, 0.5) == []


def test_central_sentences_come_in_the_texts_order() -> None:
    unit = np.array([[0, 1.0], [1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    # Degrees: 2.4, 2.4, 3.36 and 3.36 (by hand, themselves included).
    assert central(unit, 2) == [2, 3]
    assert central(unit, 3) == [0, 2, 3]


def test_a_phrase_inside_an_earlier_one_is_left_out() -> None:
    assert without_overlap(["space station", "Station", "star", "station master"]) == [
        "space station",
        "star",
        "station master",
    ]
