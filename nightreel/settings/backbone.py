"""`finetune.backbone` of params.yaml: a pretrained checkpoint in the place of the transformer's own layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section


class Backbone(Section):
    """The checkpoint, which stays as it is, and the adapters beside its layers (LoRA), which learn."""

    model: str
    """A decoder in transformers' format: a hub id, a local folder, or `all-MiniLM-L6-v2` (an encoder, read as a
    decoder) from its package. Empty: the transformer has layers of its own, learned from nothing."""
    revision: str
    """Hub revision (commit) of the checkpoint; empty for packages and folders."""
    layers: Annotated[int, Field(ge=0, le=1000)]
    """First layers that are kept, 0 for all; fewer are faster and know less. Time, memory and bundle grow with it."""
    rank: Annotated[int, Field(ge=1, le=256)]
    """Rank of an adapter; more fits better and takes memory."""
    alpha: Annotated[int, Field(ge=1, le=1024)]
    """Adapters count alpha / rank times; it acts like a learning rate of theirs."""
