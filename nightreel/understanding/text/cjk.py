"""Content words of Chinese, Japanese and Korean text."""

from __future__ import annotations

import re
from collections.abc import Iterator

_JAPANESE = re.compile("[\u30a1-\u30ff]{2,}|[\u3400-\u9fff]{2,6}")
_KINDS = ("n", "v", "i", "l", "j", "s")
"""Parts of speech (ICTCLAS): nouns and names, verbs, idioms, set phrases, abbreviations, places."""
_AFTER_ANY = ("에서는", "에게서", "에서", "에게", "까지", "부터", "처럼", "보다")
_AFTER_CONSONANT, _AFTER_VOWEL = ("으로", "을", "은", "과"), ("를", "는", "와")
"""Particles that can hardly be the end of a noun; 이, 가, 도, 로 and 의 end too many nouns."""
SHORTEST = 2


def japanese(text: str) -> list[str]:
    """Runs of kanji and of katakana: names and nouns, without the kana of inflection."""
    return _JAPANESE.findall(text)


def chinese(text: str) -> Iterator[str]:
    """Nouns, names, verbs and idioms of at least two characters.

    Source: the dictionary and hidden Markov model of jieba, in Rust (rjieba).
    """
    import rjieba

    yield from (word for word, kind in rjieba.tag(text) if len(word) >= SHORTEST and kind[:1] in _KINDS)


def is_hangul(word: str) -> bool:
    """Whether a word consists of hangul syllables only."""
    return bool(word) and all("\uac00" <= letter <= "\ud7a3" for letter in word)


def korean(word: str) -> str:
    """A word without its particle, if at least two syllables remain."""
    for ending in (*_AFTER_ANY, *_AFTER_CONSONANT, *_AFTER_VOWEL):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < SHORTEST:
            continue
        closed = (ord(stem[-1]) - 0xAC00) % 28 > 0  # a syllable's final consonant
        if ending in _AFTER_ANY or closed == (ending in _AFTER_CONSONANT):
            return stem
    return word
