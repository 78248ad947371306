"""Candidate keywords of an item: words and short phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nightreel.models.term_counts import words_of
from nightreel.understanding.text.cjk import SHORTEST, chinese, is_hangul, japanese, korean
from nightreel.understanding.text.stopwords import is_function_word

LONGEST = 3
"""Maximum words of a phrase."""
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(f"[{_UNSPACED}]+|(?:(?![{_UNSPACED}_]|--)[\\w'’-])+|[^\\w\\s]+")
_POSSESSIVE = re.compile("['’]s$", re.IGNORECASE)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def phrases_of(text: str, language: str, most: int) -> list[str]:
    """At most `most` different phrases: most frequent first, then in the order of the text.

    In scripts with spaces: content words, and runs of up to three of them between stopwords and punctuation. In
    Chinese, Japanese and Korean: content words. In other scripts without spaces: pairs of neighbouring characters.
    """
    counts: dict[str, int] = {}
    shown: dict[str, str] = {}
    for phrase in _candidates(text, language):
        key = phrase.casefold()
        counts[key] = counts.get(key, 0) + 1
        shown.setdefault(key, phrase)
    return [shown[key] for key in sorted(counts, key=lambda key: -counts[key])[:most]]


def _candidates(text: str, language: str) -> Iterator[str]:
    run: list[str] = []
    for piece in _PIECE.findall(text):
        word = piece.strip("'’-")
        owner = _POSSESSIVE.search(word)
        word = word[: owner.start()] if owner else word
        if re.match(f"[{_UNSPACED}]", word):
            yield from _unspaced(word, language)
        elif is_hangul(word):
            if len(stem := korean(word)) >= SHORTEST:
                run.append(stem)
                continue
        elif word and word[0].isalnum() and not is_function_word(word.casefold().replace("’", "'"), language):
            run.append(word)
            if not owner:
                continue
        yield from _phrases(run)
        run = []
    yield from _phrases(run)


def _unspaced(text: str, language: str) -> Iterable[str]:
    if language == "ja":
        return japanese(text)
    return chinese(text) if _HAN.search(text) else words_of(text)


def _phrases(run: list[str]) -> Iterator[str]:
    yield from (word for word in run if (len(word) > 2 or is_hangul(word)) and not word.isdigit())
    if 2 <= len(run) <= LONGEST:
        yield " ".join(run)
