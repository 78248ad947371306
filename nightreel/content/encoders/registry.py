"""Create the text encoder that the settings name, or the one that a catalogue's languages need."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nightreel.content.encoders.base import TextEncoder
from nightreel.content.encoders.model_source import ENGLISH, UNIVERSAL
from nightreel.content.item_text import titles
from nightreel.settings.embed import Embed
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress

OTHER_SCRIPTS = 0.2
"""Share of titles in other scripts above which the English encoder is replaced: its vocabulary lacks, for example,
most Chinese words, so that many titles have the same vector."""
LATIN = ((0x0000, 0x024F), (0x1E00, 0x1EFF))
"""Unicode blocks of Latin letters."""


def open_encoder(settings: Embed) -> TextEncoder:
    """Create the encoder that the settings name; raises SettingsError."""
    # Imported here: torch takes seconds, and the other encoder doesn't need it.
    if settings.encoder == UNIVERSAL:
        from nightreel.content.encoders.use_multilingual import Universal

        return Universal.open(settings)
    from nightreel.content.encoders.transformer import Encoder

    return Encoder.open(settings)


def trainable(settings: Embed) -> bool:
    """Whether the encoder can be fine-tuned."""
    return settings.encoder != UNIVERSAL


def resolve_encoder(settings: Settings, items: Path) -> Settings:
    """Settings for a catalogue: `embed.multilingual` replaces an English encoder that can't read its titles. Raises
    UserError if the file can't be read."""
    embed = settings.embed
    if embed.encoder != ENGLISH or not embed.multilingual:
        return settings
    share = other_scripts(titles(items))
    if share <= OTHER_SCRIPTS:
        return settings
    log_progress(
        f"embed.encoder: {share:.0%} of the titles are in a script that {ENGLISH} does not support; "
        f"{embed.multilingual} is used instead"
    )
    other = embed.model_copy(update={"encoder": embed.multilingual, "revision": ""})
    return settings.model_copy(update={"embed": other})


def other_scripts(texts: Iterable[str]) -> float:
    """Share of the texts, among those with letters, whose letters are mostly not Latin; 0 if there are none."""
    with_letters = other = 0
    for text in texts:
        with_letters += any(map(str.isalpha, text))
        if not text.isascii():
            letters = [character for character in text if character.isalpha()]
            other += 2 * sum(map(_latin, letters)) < len(letters)
    return other / with_letters if with_letters else 0.0


def _latin(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in LATIN)
