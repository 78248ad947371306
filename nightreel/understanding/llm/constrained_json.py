"""Constrained decoding of JSON: the schema determines the form, and the model fills in the values.

Where the schema leaves no choice, its text is inserted; inside a string, the model writes until the closing quote or
the maximum length; after an entry of a list, the likelier of comma and bracket decides. So the output always parses;
its content must still be checked.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

MOST_ENTRIES = 5
LONGEST = 400
"""Maximum characters of a string without a maxLength."""


class TextContinuation(Protocol):
    """A model that continues a text."""

    def until_quote(self, text: str, most: int) -> str:
        """Continuation of `text` up to its first quote or line end; at most about `most` characters."""
        ...

    def likelier(self, text: str, choices: tuple[str, ...]) -> str:
        """The most likely of the choices as a continuation."""
        ...


def fill(schema: dict[str, Any], writer: TextContinuation, prompt: str) -> str:
    """JSON text of a schema of objects, arrays and strings, after a prompt."""
    return _value(schema, writer, prompt, "")


def _value(schema: dict[str, Any], writer: TextContinuation, prompt: str, written: str) -> str:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, writer, prompt, written)
    if kind == "array":
        return _array(schema, writer, prompt, written)
    if kind == "string":
        text = writer.until_quote(f'{prompt}{written}"', int(schema.get("maxLength", LONGEST)))
        return written + json.dumps(text.strip(), ensure_ascii=False)
    raise ValueError(f"a schema of type {kind} is not supported")


def _object(schema: dict[str, Any], writer: TextContinuation, prompt: str, written: str) -> str:
    written += "{"
    for number, (name, inner) in enumerate(schema["properties"].items()):
        written += (", " if number else "") + json.dumps(name) + ": "
        written = _value(inner, writer, prompt, written)
    return written + "}"


def _array(schema: dict[str, Any], writer: TextContinuation, prompt: str, written: str) -> str:
    written += "["
    opening = {"object": "{", "array": "[", "string": '"'}[schema["items"]["type"]]
    for number in range(min(int(schema.get("maxItems", MOST_ENTRIES)), MOST_ENTRIES)):
        more = ", " + opening if number else opening
        if writer.likelier(prompt + written, (more, "]")) == "]":
            break
        longer = _value(schema["items"], writer, prompt, written + (", " if number else ""))
        if '""' in longer[len(written) :]:
            break  # the model generates nothing
        written = longer
    return written + "]"
