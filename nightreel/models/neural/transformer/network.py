"""The transformer as a torch module for training: GPT-NeoX layers over item vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import GPTNeoXConfig, GPTNeoXModel

from nightreel.models.neural.sequences import GAPS
from nightreel.models.neural.transformer.checkpoint import Part
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.pretrained_training import Adapted

UNTIMED = 0.1  # share of rows trained without gaps, so that an unseen gap does little harm


class TransformerNetwork(nn.Module):
    """Maps item vectors (learned id plus projected content) to states, whose dot product with the vectors is the
    score."""

    def __init__(
        self, vectors: npt.NDArray[np.float32], n_items: int, config: TransformerConfig, body: Adapted | None = None
    ) -> None:
        super().__init__()
        dim, layers, heads = (int(getattr(config, name)) for name in ("dim", "layers", "heads"))
        self.ids = nn.Parameter(torch.zeros(n_items, dim))
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.gaps = nn.Parameter(torch.zeros(GAPS, dim))
        self.projection = nn.Parameter(0.02 * torch.randn(vectors.shape[1], dim))
        self.register_buffer("content", torch.from_numpy(np.array(vectors, np.float32)))
        self.body = body or GPTNeoXModel(configuration(dim, layers, heads))
        self.dropout = config.dropout
        self.rating_weight = config.rating_weight
        self.rating = nn.Parameter(torch.zeros(dim, dim)) if self.rating_weight else None
        self.mask = config.mask

    def items(self, chosen: Tensor) -> Tensor:
        """[len(chosen), dim] the items' vectors."""
        content: Tensor = self.content  # type: ignore[assignment]
        return self.ids[chosen] + content[chosen] @ self.projection

    def states(self, inputs: Tensor) -> Tensor:
        """[rows, length, dim] → the same shape; padding at the end doesn't affect positions before it."""
        states = self.body(inputs_embeds=self.thinned(inputs)).last_hidden_state
        return self.thinned(states)

    def inputs(self, items: Tensor, gap: Tensor) -> Tensor:
        """[rows, length, dim] the sum of the items' vectors and of those of the gaps before them."""
        gaps = self.gaps[gap]
        if self.training:
            gaps = gaps * (torch.rand(len(gap), 1, 1, device=gap.device) >= UNTIMED)
            if self.mask:
                items = items * (torch.rand(*gap.shape, 1, device=gap.device) >= self.mask)
        return items + gaps

    def thinned(self, x: Tensor) -> Tensor:
        """Dropout of whole dimensions of a row, which needs a fiftieth of the random numbers."""
        if not self.training or self.dropout == 0.0:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.dropout
        return x * kept / (1.0 - self.dropout)


def configuration(dim: int, layers: int, heads: int) -> GPTNeoXConfig:
    """A small GPT-NeoX with rotary positions, without vocabulary and dropout."""
    return GPTNeoXConfig(
        vocab_size=1,
        bos_token_id=None,
        eos_token_id=None,
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        hidden_act="silu",
        rotary_pct=1.0,
        use_parallel_residual=False,
        use_cache=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
    )


def kept(network: TransformerNetwork) -> Iterator[Part]:
    """The parameters that `Transformer` stores, as name, layer (None outside the layers) and values."""
    pretrained = network.body if isinstance(network.body, Adapted) else None
    for name, values in network.named_parameters():
        short = name.removeprefix("body.")
        if short == "embed_in.weight" or (pretrained and short != name):
            continue
        if short.startswith("layers."):
            _, index, rest = short.split(".", 2)
            yield f"layers.{rest}", int(index), values
        else:
            yield short, None, values
    if pretrained:
        yield from pretrained.parts()
