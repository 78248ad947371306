"""The sensible reading of a cell: names of languages as BCP-47 tags, capitals of fixed words, marks for "no value"."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import Column

NO_VALUE = ("\\N", "<NA>", "#N/A", "NaT")
"""Marks that databases and spreadsheets write into an empty cell; they are no text, id or title."""
NO_WORD = frozenset(
    {"", "nan", "null", "none", "nil", "na", "n/a", "#n/a", "nat", "<na>", "\\n", "-", "--", "undefined"}
)
"""The same in columns of fixed words and in lists, in lower case; in free text they may be meant."""
PRIMARY = re.compile(r"^[a-z]{2,3}$")
TAG = re.compile(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
IN_BRACKETS = re.compile(r"\s*[(\[].*$")


def mapped(cells: pa.Array, reading: Callable[[str], str | None]) -> pa.Array:
    """Apply a reading to text cells, once for each distinct cell; null stays null."""
    coded = cells.dictionary_encode()
    found = pa.array([reading(cell) for cell in coded.dictionary.to_pylist()], pa.string())
    return found.take(coded.indices)


def without_marks(cells: pa.Array) -> pa.Array:
    """Text cells without NO_VALUE."""
    marked = pc.is_in(cells, pa.array(NO_VALUE))
    return pc.if_else(marked, None, cells) if pc.any(marked).as_py() else cells


def sensible(cells: pa.Array, column: Column) -> pa.Array:
    """Text cells of a column in the contract's spelling, where it is clear what they mean; others as they are."""
    if column.name == "language":
        return mapped(cells, language)
    if column.name == "target":
        return mapped(cells, target)
    if column.choices:
        known = frozenset(column.choices)
        empty = None if not column.filled else ""
        return mapped(cells, lambda cell: _word(cell, known, empty))
    return cells


def _word(cell: str, known: frozenset[str], empty: str | None) -> str | None:
    if cell in known:
        return cell
    word = cell.strip().casefold()
    if word in known:
        return word
    return cell if empty is not None or word not in NO_WORD else empty


def language(cell: str) -> str | None:
    """A language as a BCP-47 tag; what is none stays as it is, a mark for "no value" is null.

    Example:
        >>> [language(cell) for cell in ("English", "eng", "en_US", "PT-br", "Deutsch", "zh-hant", "\\\\N")]
        ['en', 'en', 'en-US', 'pt-BR', 'de', 'zh-Hant', None]
    """
    text = cell.strip()
    if text.casefold() in NO_WORD:
        return None
    tag = text.replace("_", "-")
    if TAG.match(tag):
        first, *rest = tag.split("-")
        primary = _code(first)
        if PRIMARY.match(primary):
            return "-".join([primary, *map(_subtag, rest)])
    name = IN_BRACKETS.sub("", text).casefold()
    return _english().get(name) or _own().get(name) or cell


def target(cell: str) -> str:
    """A rule's target, with a language as a BCP-47 tag, as in the items.

    Example:
        >>> target("language:German"), target("genre:German")
        ('language:de', 'genre:German')
    """
    kind, colon, name = cell.partition(":")
    if kind.strip().casefold() != "language" or not name.strip():
        return cell
    return f"{kind}{colon}{language(name) or name}"


def _code(first: str) -> str:
    """The primary subtag in lower case, with two letters where there are two."""
    from babel.core import get_global

    code = first.lower()
    alias = get_global("language_aliases").get(code, code) if len(code) == 3 else code
    return alias if PRIMARY.match(alias) else code


def _subtag(text: str) -> str:
    return text.title() if len(text) == 4 and text.isalpha() else text.upper() if len(text) == 2 else text.lower()


@cache
def _english() -> dict[str, str]:
    """English name of a language → its tag."""
    from babel import Locale

    named = sorted(Locale.parse("en").languages.items(), key=lambda entry: (-len(entry[0]), entry[0]))
    return {name.casefold(): code for code, name in named if "_" not in code}


@cache
def _own() -> dict[str, str]:
    """Name of a language in itself → its tag; takes a second, so that it is looked at last."""
    from babel import Locale, localedata

    codes = [code for code in localedata.locale_identifiers() if "_" not in code]
    return {Locale.parse(code).languages.get(code, code).casefold(): code for code in codes}


def labels(cell: str) -> list[str]:
    """The labels of a cell: separated by |, or a JSON list of texts or of objects with a name.

    Example:
        >>> labels("Crime|Drama"), labels('["Crime", "Drama"]'), labels('[{"id": 28, "name": "Crime"}]')
        (['Crime', 'Drama'], ['Crime', 'Drama'], ['Crime'])
    """
    if cell[:1] == "[" and cell[-1:] == "]":
        found = _json_labels(cell)
        if found is not None:
            return found
    return [] if cell.strip().casefold() in NO_WORD else cell.split("|")


def _json_labels(cell: str) -> list[str] | None:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    names = [each.get("name") if isinstance(each, dict) else each for each in found]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(names) else None
