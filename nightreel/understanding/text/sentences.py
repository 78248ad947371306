"""Split text into sentences, in scripts with and without spaces."""

from __future__ import annotations

import re

ABBREVIATIONS = {
    "mr",
    "mrs",
    "ms",
    "dr",
    "prof",
    "st",
    "mt",
    "jr",
    "sr",
    "lt",
    "sgt",
    "capt",
    "col",
    "gen",
    "rev",
    "vs",
    "etc",
    "no",
    "vol",
    "bzw",
    "usw",
    "ca",
}
_ENDS = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*|\n+")
_OPENING = "\"'“‘«([¿¡–—- "


def sentences_of(text: str) -> list[str]:
    """The sentences in order, without white space at their ends.

    A full stop ends a sentence if a capital, a digit or an uncased script follows, and neither an initial nor a known
    abbreviation precedes it.
    """
    found, start = [], 0
    for end in _ENDS.finditer(text):
        if _is_end(text[start : end.start()], end[0], text[end.end() :]):
            found.append(text[start : end.end()])
            start = end.end()
    found.append(text[start:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def _is_end(before: str, mark: str, after: str) -> bool:
    if not mark.startswith("."):
        return True
    follows = after.lstrip().lstrip(_OPENING)[:1]
    last = re.split(r"[\s.]", before)[-1].lstrip(_OPENING)
    return not follows.islower() and not (len(last) == 1 and last.isalpha()) and last.casefold() not in ABBREVIATIONS
