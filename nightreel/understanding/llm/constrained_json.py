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
    """JSON text of a schema of objects, arrays, strings and integers in a range, after a prompt."""
    return _value(schema, writer, prompt, "")


def _value(schema: dict[str, Any], writer: TextContinuation, prompt: str, written: str) -> str:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, writer, prompt, written)
    if kind == "array":
        return _array(schema, writer, prompt, written)
    if kind == "integer":
        return written + _integer(_range(schema), writer, prompt + written, ("}",))
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
    if schema["items"].get("type") == "integer":
        return written + _integers(schema, writer, prompt + written)
    written += "["
    opening = {"object": "{", "array": "[", "string": '"'}[schema["items"]["type"]]
    least = int(schema.get("minItems", 0))
    for number in range(min(int(schema.get("maxItems", MOST_ENTRIES)), max(MOST_ENTRIES, least))):
        more = ", " + opening if number else opening
        if number >= least and writer.likelier(prompt + written, (more, "]")) == "]":
            break
        longer = _value(schema["items"], writer, prompt, written + (", " if number else ""))
        if number >= least and '""' in longer[len(written) :]:
            break  # the model generates nothing
        written = longer
    return written + "]"


def _integers(schema: dict[str, Any], writer: TextContinuation, prompt: str) -> str:
    """A list of integers. If it must hold as many as there are to choose from, each occurs once: it is an order."""
    allowed = _range(schema["items"])
    least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", MOST_ENTRIES))
    distinct = least == most == len(allowed)
    chosen = list[str]()
    for number in range(most):
        written = prompt + "[" + "".join(f"{one}, " for one in chosen)
        if number >= least and writer.likelier(written, (*allowed[:1], "]")) == "]":
            break
        left = [one for one in allowed if one not in chosen] if distinct else allowed
        chosen.append(_integer(left, writer, written, (",", "]")))
    return "[" + ", ".join(chosen) + "]"


def _integer(allowed: list[str], writer: TextContinuation, text: str, ends: tuple[str, ...]) -> str:
    """One of the allowed numbers, digit by digit. ends: what may follow it."""
    digits = ""
    while True:
        further = sorted({one[len(digits)] for one in allowed if one.startswith(digits) and len(one) > len(digits)})
        choices = (*further, *(ends if digits in allowed else ()))
        best = choices[0] if len(choices) == 1 else writer.likelier(text + digits, choices)
        if best in ends or not further:
            return digits
        digits += best


def _range(schema: dict[str, Any]) -> list[str]:
    if "minimum" not in schema or "maximum" not in schema:
        raise ValueError("an integer without minimum and maximum is not supported")
    return [str(number) for number in range(int(schema["minimum"]), int(schema["maximum"]) + 1)]
