"""What no id is, told alike by the check of tables, by the service and by the reader's recent events."""

from __future__ import annotations

import re

GARBLED = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]"
"""Characters that only a broken encoding puts into an id or a title; the last is the replacement character."""
GARBLED_ID = "[\x00-\x08\x0a-\x1f\x7f\ufffd]"
"""The same with line breaks, which no id has."""
_GARBLED_ID = re.compile(GARBLED_ID)


def id_fault(text: str) -> str | None:
    """Why a table would refuse an id; None if it would not.

    Example:
        >>> id_fault("u1"), id_fault(" "), id_fault("u1\\nu2")
        (None, 'is empty', 'holds control characters')
    """
    if not text.strip():
        return "is empty"
    return "holds control characters" if _GARBLED_ID.search(text) else None
