"""Which text encoder the settings name."""

from __future__ import annotations

from tasks.content.source import UNIVERSAL
from tasks.content.text_encoder import TextEncoder
from tasks.settings import Embed


def open_encoder(settings: Embed) -> TextEncoder:
    """The encoder that the settings name; raises SettingsError."""
    # Imported here: torch takes seconds, and the other one needs none of it.
    if settings.encoder == UNIVERSAL:
        from tasks.content.universal import Universal

        return Universal.open(settings)
    from tasks.content.encoder import Encoder

    return Encoder.open(settings)


def trainable(settings: Embed) -> bool:
    """Whether the encoder can be fitted to behaviour."""
    return settings.encoder != UNIVERSAL
