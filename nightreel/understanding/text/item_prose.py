"""An item's text in sentences: title, description and transcript, without the labels that the tagger predicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nightreel.content.item_text import item_text

READ = 40_000
"""Maximum characters of the body: about 45 minutes of speech."""


@dataclass(frozen=True)
class Prose:
    """title; body: description and transcript, empty if the item has neither; language: BCP-47 or empty."""

    title: str
    body: str
    language: str

    @property
    def whole(self) -> str:
        """Title and body, as the encoder reads them."""
        return f"{self.title}\n{self.body}" if self.title else self.body

    @cached_property
    def digest(self) -> str:
        """sha256 of all three."""
        return hashlib.sha256(f"{self.language}\n{self.whole}".encode("utf-8", "surrogatepass")).hexdigest()


def prose_of(row: Mapping[str, Any]) -> Prose:
    """The text of a catalogue row (or of one with a derived transcript), in a language still unknown."""
    body = item_text({name: row.get(name) for name in ("description", "transcript")})
    return Prose(item_text({"title": row.get("title")}), body[:READ], "")
