import numpy as np
import pytest

from nightreel.understanding.text.candidate_phrases import phrases_of
from nightreel.understanding.text.cjk import korean
from nightreel.understanding.text.extractive import central, relevant_and_different, without_overlap
from nightreel.understanding.text.sentences import sentences_of


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
    assert phrases_of("李慕白决定退出江湖，把宝剑交给好友俞秀莲。", "zh", 20) == [
        "李慕白",
        "决定",
        "退出",
        "江湖",
        "宝剑",
        "交给",
        "好友",
        "俞秀莲",
    ]
    assert phrases_of("宇宙飞船", "", 9) == phrases_of("宇宙飞船", "zh-Hant", 9) == ["宇宙飞船"]
    assert phrases_of("ยานอวกาศ", "th", 2) == ["ยา", "าน"]


def test_korean_words_lose_their_particles_not_their_ends() -> None:
    found = phrases_of("은퇴한 우주비행사가 정원에서 로켓을, 고양이는 마을을 떠난다.", "ko", 20)
    assert found[:3] == ["은퇴한", "우주비행사가", "정원"] and {"로켓", "고양이", "마을"} <= set(found)
    assert [korean(word) for word in ("마을", "가을은", "학교는", "과는", "서울까지", "도서관으로")] == [
        "마을",
        "가을",
        "학교",
        "과는",
        "서울",
        "도서관",
    ]


def test_a_dash_between_words_is_no_hyphen() -> None:
    assert "bus" in phrases_of("It is a rigged bus--slow down, well-known driver", "en", 20)
    assert "well-known driver" in phrases_of("It is a rigged bus--slow down, well-known driver", "en", 20)


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
    unit = np.array([[0, 1.0], [1, 0], [0.8, 0.6], [0.28, 0.96]], np.float32)
    # Degrees: 2.56, 2.08, 3.2 and 3.04 (by hand, themselves included).
    assert central(unit, 2) == [2, 3]
    assert central(unit, 3) == [1, 2, 3], "the first is too near to the last (0.96)"
    assert central(np.repeat(unit[:1], 3, axis=0), 2) == [0], "what is said three times is said once"


def test_a_phrase_inside_an_earlier_one_is_left_out() -> None:
    assert without_overlap(["space station", "Station", "star", "station master"]) == [
        "space station",
        "star",
        "station master",
    ]
