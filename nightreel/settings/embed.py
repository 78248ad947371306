"""The section `embed` of params.yaml: the content encoder, and how it is fitted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nightreel.settings.section import Section


class Tune(Section):
    """Contrastive fitting of the encoder to pairs of items that the same users took."""

    method: Literal["full", "lora", "adalora"]
    """What is trained in the layers: all of it, or low-rank adapters, with ranks alike or dealt out by use. Adapters
    take little memory and keep more of the language; they want a higher learning rate."""
    layers: Annotated[int, Field(ge=1, le=100)]
    """Last layers that are trained; the others stay as they are. More fits better and is slower."""
    rank: Annotated[int, Field(ge=1, le=256)]
    """Rank of an adapter (of `adalora`: the mean one at the end); more fits better and takes memory."""
    alpha: Annotated[int, Field(ge=1, le=1024)]
    """Adapters count alpha / rank times; it acts like a learning rate of theirs."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read while training; time grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak step of AdamW, reached after a tenth of the steps and lowered to zero; too high forgets language."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    """AdamW's pull of the weights towards zero."""
    temperature: Annotated[float, Field(gt=0, le=1)]
    """Divides cosines before the softmax; lower looks harder at the nearest wrong items."""


class Embed(Section):
    encoder: str
    """`all-MiniLM-L6-v2` (English) or `universal-sentence-encoder-multilingual` (16 languages in one space; it can't be
    fitted to behaviour), both from their packages; any hub id; or a local folder in transformers' format."""
    multilingual: Literal["universal-sentence-encoder-multilingual", ""]
    """Takes the place of all-MiniLM-L6-v2 where more than a fifth of the titles are in another script than Latin, since
    that one can't read them; empty: never."""
    revision: str
    """Hub revision (commit) of the encoder; empty for packages and folders."""
    engine: Literal["torch", "openvino"]
    """What computes a network in transformers' format: torch on any device, or OpenVINO on the CPU
    (`pip install 'nightreel[openvino]'`)."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """Weights' type; `auto`: bfloat16 where the device computes it natively, else float32."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    """Where the encoder runs; `auto` takes a GPU when there is one."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read; longer text is cut, time grows linearly."""
    block_tokens: Annotated[int, Field(ge=64, le=1_048_576)]
    """Tokens in a block of texts of equal padded length; fixed, so that an item's bytes don't depend on its neighbours.
    256 suits a CPU, 32768 a GPU: larger blocks use wide devices better and waste more on small catalogues."""
    length_parts: Annotated[int, Field(ge=1, le=512)]
    """Texts are padded to one of this many lengths up to each power of two; more pads less, in more kinds of block."""
    tune: Tune
    """How the encoder is fitted to behaviour; `finetune` reads it."""
