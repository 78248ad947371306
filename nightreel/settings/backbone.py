"""The section `finetune.backbone` of params.yaml: a pretrained checkpoint that replaces the transformer's layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section


class Backbone(Section):
    """A pretrained checkpoint, whose weights are frozen, and the low-rank adapters (LoRA) that are trained with it."""

    model: str
    """A decoder in transformers' format: a hub id, a local folder, or `all-MiniLM-L6-v2` (an encoder, read as a
    decoder) from its package. Empty: the transformer's own layers are trained from scratch."""
    revision: str
    """Commit of the checkpoint on the hub; empty for packages and folders."""
    layers: Annotated[int, Field(ge=0, le=1000)]
    """Number of layers used, counted from the input; 0: all. Time, memory and bundle size grow linearly; fewer layers
    use less of what the checkpoint has learned."""
    rank: Annotated[int, Field(ge=1, le=256)]
    """Rank of an adapter. A higher rank fits the data more closely and takes more memory."""
    alpha: Annotated[int, Field(ge=1, le=1024)]
    """Scale of the adapters: their output is multiplied by alpha / rank. It acts like their learning rate."""
