"""Answers in a schema's form: whatever a model writes, the result parses."""

from __future__ import annotations

import json

import pytest

from nightreel.understanding.llm.constrained_json import fill
from nightreel.understanding.llm.grounding import MOST_THEMES, SCHEMA, parse
from nightreel.understanding.llm.rerank import permutation, schema_of


class Scripted:
    """Writes the next of its texts into each string; goes on with a list until its entries are used up."""

    def __init__(self, texts: list[str], entries: int) -> None:
        self.texts, self.entries, self.seen = texts, entries, [""]

    def until_quote(self, text: str, most: int) -> str:
        self.seen.append(text)
        return self.texts.pop(0)[:most] if self.texts else ""

    def likelier(self, text: str, choices: tuple[str, ...]) -> str:
        self.entries -= 1
        return choices[0] if self.entries >= 0 else choices[-1]


def test_strings_are_filled_in_order_and_each_sees_what_stands_before_it() -> None:
    writer = Scripted(["A keeper \\ sails.", "sea", "he sails"], entries=1)
    answer = fill(SCHEMA, writer, "PROMPT ")
    assert parse(answer) == ("A keeper \\ sails.", [("sea", "he sails")])
    assert writer.seen[1] == 'PROMPT {"summary": "'
    assert writer.seen[3].endswith('"themes": [{"theme": "sea", "quote": "')


def test_a_list_ends_when_the_model_says_so_or_at_its_most() -> None:
    assert json.loads(fill(SCHEMA, Scripted(["S"], 0), ""))["themes"] == []
    empty = json.loads(fill(SCHEMA, Scripted(["S", "t", "q", "t"], 5), ""))
    assert empty["themes"] == [{"theme": "t", "quote": "q"}], "a theme without a quote is none"
    many = json.loads(fill(SCHEMA, Scripted(["S"] + ["t", "q"] * 9, 9), ""))
    assert many["themes"] == [{"theme": "t", "quote": "q"}] * MOST_THEMES
    with pytest.raises(ValueError, match="type number is not supported"):
        fill({"type": "number"}, Scripted([], 0), "")


def test_an_order_names_each_number_once_whatever_the_model_prefers() -> None:
    class Stubborn(Scripted):
        def likelier(self, text: str, choices: tuple[str, ...]) -> str:
            self.seen.append(text)
            return choices[-1]

    for count in (2, 12, 101):
        writer = Stubborn([], 0)
        order = json.loads(fill(schema_of(count), writer, "PROMPT "))["order"]
        assert sorted(order) == list(range(1, count + 1)) and permutation(json.dumps({"order": order}), count)
        assert writer.seen[1].startswith('PROMPT {"order": [')
    few = {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 4}, "minItems": 1, "maxItems": 3}
    assert json.loads(fill(few, Stubborn([], 0), "")) == [4]
    with pytest.raises(ValueError, match="integer without minimum and maximum"):
        fill({"type": "integer"}, Scripted([], 0), "")
