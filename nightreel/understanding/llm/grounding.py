"""Checks of a language model's output: form, language, and evidence in the text for its claims."""

from __future__ import annotations

import json
import re
from typing import Any

from nightreel.understanding.text.cjk import is_hangul
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.language import LanguageIdentifier
from nightreel.understanding.text.stopwords import is_function_word

LONGEST_SUMMARY, LONGEST_THEME, LONGEST_QUOTE, MOST_THEMES = 400, 40, 200, 5
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary", "themes"],
    "properties": {
        "summary": {"type": "string", "minLength": 1, "maxLength": LONGEST_SUMMARY},
        "themes": {
            "type": "array",
            "maxItems": MOST_THEMES,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["theme", "quote"],
                "properties": {
                    "theme": {"type": "string", "minLength": 1, "maxLength": LONGEST_THEME},
                    "quote": {"type": "string", "minLength": 1, "maxLength": LONGEST_QUOTE},
                },
            },
        },
    },
}
KNOWN_SHARE = 0.5
"""Minimum share of a summary's content words whose stems are in the text; the others may be paraphrase."""
STEM = 5
"""Letters that form a stem, so that `builds` is evidence for `building`."""
SYLLABLES = 2
"""Syllables of hangul that form a stem."""
UNSPACED = re.compile("[\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
"""Runs of Chinese characters and kana."""
HIRAGANA = re.compile("[\u3041-\u309f]+")
TELLING_LETTERS = 40
"""Letters that a summary needs for language identification."""
SURE = 0.9


class Unfit(Exception):
    """Output that may not be used; the message says why."""


def parse(answer: str) -> tuple[str, list[tuple[str, str]]]:
    """Parse summary and themes with their quotes; raises Unfit if the output violates SCHEMA."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        value = json.loads(found[0]) if found else None
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.keys() != {"summary", "themes"} or not isinstance(value["themes"], list):
        raise Unfit("is not JSON of the schema")
    if not _text(value["summary"], LONGEST_SUMMARY):
        raise Unfit(f"its summary is not a text of 1 to {LONGEST_SUMMARY} characters")
    pairs = [_theme(each) for each in value["themes"]]
    if len(pairs) > MOST_THEMES:
        raise Unfit(f"has more than {MOST_THEMES} themes")
    return value["summary"].strip(), pairs


def _text(value: Any, most: int | None = None) -> bool:
    return isinstance(value, str) and bool(value.strip()) and (most is None or len(value) <= most)


def _theme(each: Any) -> tuple[str, str]:
    if not isinstance(each, dict) or each.keys() != {"theme", "quote"}:
        raise Unfit("a theme is not JSON of the schema")
    if not _text(each["theme"], LONGEST_THEME) or not _text(each["quote"]):
        raise Unfit(f"a theme is not a text of 1 to {LONGEST_THEME} characters with a quote")
    return each["theme"].strip(), each["quote"]


def check(answer: str, prose: Prose, identifier: LanguageIdentifier) -> tuple[str, list[str], list[str]]:
    """Summary, themes with evidence, and why other themes are rejected; raises Unfit for the form or the summary."""
    summary, themes = parse(answer)
    language = prose.language.partition("-")[0].casefold()
    if language and sum(map(str.isalpha, summary)) >= TELLING_LETTERS:
        guess = identifier.identify(summary)
        if guess.score >= SURE and guess.language != language:
            raise Unfit(f"its summary is in {guess.language}, the item's text in {language}")
    if prose.body and _plain(summary).strip(" .") == _plain(prose.title).strip(" ."):
        raise Unfit("its summary is the title")
    _check_words(summary, prose.whole, language)
    given = _plain(prose.whole)
    grounded = [theme for theme, quote in themes if _plain(quote) in given]
    doubts = [f"the quote for {theme!r} is not in the text" for theme, quote in themes if _plain(quote) not in given]
    return summary, grounded, doubts


def _check_words(summary: str, text: str, language: str) -> None:
    """Names and numbers must be in the text, and most of the other words."""
    known, numbers = {_stem(word) for word in _words(text)}, set(re.findall(r"\d+", text))
    for number in re.findall(r"\d+", summary):
        if number not in numbers:
            raise Unfit(f"{number!r} is not in the text")
    for match in re.finditer(r"(?<![.!?]\s)(?<!^)\b[^\W\d_]\w+", summary):
        word = match[0]
        if word[0].isupper() and _stem(word.casefold()) not in known:
            raise Unfit(f"{word!r} is not in the text")
    content = [word for word in _words(summary) if UNSPACED.fullmatch(word) or not is_function_word(word, language)]
    if content and sum(_stem(word) in known for word in content) < KNOWN_SHARE * len(content):
        raise Unfit("most of its summary's words are not in the text")


def _words(text: str) -> list[str]:
    """The words, in lower case; of scripts without spaces the pairs of neighbouring characters that carry meaning."""
    return [part for word in re.findall(r"\w+", text) for part in _parts(word.casefold())]


def _parts(word: str) -> list[str]:
    if not UNSPACED.search(word):
        return [word]
    runs = UNSPACED.findall(word)
    pairs = [run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))]
    # Kana alone inflects: what they say is in the characters and in words of katakana.
    return [pair for pair in pairs if not HIRAGANA.fullmatch(pair)] + UNSPACED.sub(" ", word).split()


def _stem(word: str) -> str:
    """The beginning of a word, without what inflects; Korean syllables hold two or three letters each."""
    return word[:SYLLABLES] if is_hangul(word) else word[:STEM]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
