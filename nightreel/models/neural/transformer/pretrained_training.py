"""A pretrained decoder as the transformer's layers: frozen, with low-rank adapters (LoRA, by peft) that learn.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. A layer leads from an item's vector
into the checkpoint's width and one leads out again; both learn, as do the vectors. Kept are the checkpoint's layers,
without its words, and the adapters beside them, so that going on needs no checkpoint.
Memory: 4 bytes a weight of the layers, in training, in the bundle and while answering (MiniLM 43 MB, GPT-2 340 MB);
rank x (in + out) x 16 bytes a matrix for the adapters while they learn. Ceiling: 6 operations a weight and event
learned, 2 a weight and event read, so that a hundred million weights want a GPU or few `layers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from nightreel.models.base import Arrays
from nightreel.models.neural.transformer.checkpoint import (
    PARTS,
    Part,
    base_arrays,
    base_parts,
    is_turned,
    layers_of,
    opened,
    rebuilt,
)
from nightreel.models.neural.transformer.pretrained_numpy import Form
from nightreel.settings import SettingsError
from nightreel.settings.backbone import Backbone

VECTORS = 0.05  # spread of an item's starting vector, see transformer_training


class Adapted(nn.Module):
    """[rows, length, dim] in and out, through a decoder of another width."""

    def __init__(self, decoder: nn.Module, form: Form, dim: int) -> None:
        super().__init__()
        self.decoder, self.form = decoder, form
        width = int(decoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.enter, self.leave = nn.Linear(dim, width), nn.Linear(width, dim)
        self.final_layer_norm = nn.LayerNorm(dim)
        # In at the spread of the words that the checkpoint knows, and out the way that leads back.
        turn = nn.init.orthogonal_(torch.empty(width, dim))
        with torch.no_grad():
            self.enter.weight.copy_(turn * (form.spread / VECTORS) * max(1.0, width / dim) ** 0.5)
            self.leave.weight.copy_(turn.T)
            for layer in (self.enter, self.leave):
                layer.bias.zero_()

    def forward(self, inputs_embeds: Tensor) -> BaseModelOutput:
        """What follows each place, as transformers' models give it."""
        found = self.decoder(inputs_embeds=self.enter(inputs_embeds)).last_hidden_state
        return BaseModelOutput(last_hidden_state=self.final_layer_norm(self.leave(found)))

    def train(self, mode: bool = True) -> Adapted:
        """As any module, but the checkpoint's own dropout stays off: the network around has its own."""
        super().train(mode)
        self.decoder.eval()
        return self

    def parts(self) -> Iterator[Part]:
        """All that is kept: the checkpoint's weights, the adapters', and those of the layers around."""
        yield from base_parts(self.decoder)
        for index, layer in enumerate(layers_of(self.decoder)):
            for name, module in layer.named_modules():
                if name in PARTS and hasattr(module, "base_layer"):
                    yield from ((key, index, view) for key, view in _adapter(PARTS[name].split(), module))
        for own in ("enter", "leave", "final_layer_norm"):
            yield from ((f"{own}.{kind}", None, values) for kind, values in getattr(self, own).named_parameters())

    def fixed(self) -> Arrays:
        """What is kept beside the parts and never changes."""
        parts = {name for name, _, _ in base_parts(self.decoder)}
        return {name: array for name, array in base_arrays(self.decoder, self.form).items() if name not in parts}


def _adapter(parts: list[str], module: Any) -> Iterator[tuple[str, Tensor]]:
    """Both matrices of an adapter, by the part of the layer that it is for."""
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    for part, view in zip(parts, up.chunk(len(parts)), strict=True):
        yield f"adapter.{part}.down", down
        yield f"adapter.{part}.up", view


def adapted(backbone: Backbone | Arrays, dim: int, window: int) -> Adapted:
    """A checkpoint's layers with adapters that do nothing yet, from torch's seed; named, or from what was kept of it.

    Raises SettingsError as `opened` does, and where the checkpoint reads fewer places than `window`.
    """
    from peft import LoraConfig, LoraModel

    with torch.random.fork_rng(devices=[]):  # so that the adapters are the same, wherever the layers come from
        decoder, form = opened(backbone) if isinstance(backbone, Backbone) else (rebuilt(backbone), Form.of(backbone))
    most = int(decoder.config.max_position_embeddings)  # type: ignore[union-attr,arg-type]
    if window > most:
        raise SettingsError(
            f"finetune.members.transformer.window: {window} events, and {form.model} reads {most}. Set it to {most} or "
            "less."
        )
    decoder.requires_grad_(False)
    inside = {id(m) for m in layers_of(decoder).modules() if isinstance(m, nn.Linear) or is_turned(m)}
    names = [name for name, module in decoder.named_modules() if id(module) in inside]
    config = LoraConfig(
        r=form.rank,
        lora_alpha=form.alpha,
        lora_dropout=0.0,
        target_modules=names,
        fan_in_fan_out=any(is_turned(module) for module in decoder.modules()),
    )
    LoraModel(decoder, {"default": config}, "default")
    return Adapted(decoder, form, dim)
