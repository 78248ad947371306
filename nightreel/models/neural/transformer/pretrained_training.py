"""A pretrained decoder as the transformer's layers: frozen, with trained low-rank adapters (LoRA, by peft).

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. Projections map
item vectors to the checkpoint's width and back; they are trained, as are the vectors. Stored are the checkpoint's
layers, without the vocabulary, and the adapters, so that further training doesn't need the checkpoint.
Memory: 4 bytes a weight of the layers, in training, in the bundle and when scoring (MiniLM 43 MB, GPT-2 340 MB);
rank x (in + out) x 16 bytes a matrix for the adapters in training. Ceiling: 6 operations a weight and event in
training, 2 when scoring, so that a hundred million weights need a GPU or few `layers`.
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
from nightreel.settings.backbone import Backbone
from nightreel.settings.section import SettingsError

VECTORS = 0.05  # standard deviation of the initial item vectors: FIRST_SPREAD in the module `training`


class Adapted(nn.Module):
    """A decoder of another width between two projections: [rows, length, dim] in and out."""

    def __init__(self, decoder: nn.Module, form: Form, dim: int) -> None:
        super().__init__()
        self.decoder, self.form = decoder, form
        width = int(decoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.enter, self.leave = nn.Linear(dim, width), nn.Linear(width, dim)
        self.final_layer_norm = nn.LayerNorm(dim)
        # Inputs get the standard deviation of the checkpoint's word embeddings; the way back is the transpose.
        turn = nn.init.orthogonal_(torch.empty(width, dim))
        with torch.no_grad():
            self.enter.weight.copy_(turn * (form.spread / VECTORS) * max(1.0, width / dim) ** 0.5)
            self.leave.weight.copy_(turn.T)
            for layer in (self.enter, self.leave):
                layer.bias.zero_()

    def forward(self, inputs_embeds: Tensor) -> BaseModelOutput:
        """The states, in the form that transformers' models return."""
        hidden = self.decoder(inputs_embeds=self.enter(inputs_embeds)).last_hidden_state
        return BaseModelOutput(last_hidden_state=self.final_layer_norm(self.leave(hidden)))

    def train(self, mode: bool = True) -> Adapted:
        """Switch to training mode, with the checkpoint's own dropout off: the surrounding network has its own."""
        super().train(mode)
        self.decoder.eval()
        return self

    def parts(self) -> Iterator[Part]:
        """All stored parameters: those of the checkpoint, of the adapters, and of the projections."""
        yield from base_parts(self.decoder)
        for index, layer in enumerate(layers_of(self.decoder)):
            for name, module in layer.named_modules():
                if name in PARTS and hasattr(module, "base_layer"):
                    yield from ((key, index, view) for key, view in _adapter(PARTS[name].split(), module))
        for name in ("enter", "leave", "final_layer_norm"):
            yield from ((f"{name}.{kind}", None, values) for kind, values in getattr(self, name).named_parameters())

    def fixed(self) -> Arrays:
        """Stored arrays that are not parameters."""
        parts = {name for name, _, _ in base_parts(self.decoder)}
        return {name: array for name, array in base_arrays(self.decoder, self.form).items() if name not in parts}


def _adapter(parts: list[str], module: Any) -> Iterator[tuple[str, Tensor]]:
    """Both matrices of an adapter, by the part that it adapts."""
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    for part, view in zip(parts, up.chunk(len(parts)), strict=True):
        yield f"adapter.{part}.down", down
        yield f"adapter.{part}.up", view


def adapted(backbone: Backbone | Arrays, dim: int, window: int) -> Adapted:
    """Add adapters, initialised so that they change nothing, to a checkpoint's layers.

    Args:
        backbone: The checkpoint, or its stored weights.
        dim: Width of item vectors.
        window: Maximum number of events.

    Raises:
        SettingsError: As in `opened`, or the checkpoint reads fewer positions than `window`.
    """
    from peft import LoraConfig, LoraModel

    with torch.random.fork_rng(devices=[]):  # so that the adapters don't depend on where the layers come from
        decoder, form = opened(backbone) if isinstance(backbone, Backbone) else (rebuilt(backbone), Form.of(backbone))
    most = int(decoder.config.max_position_embeddings)  # type: ignore[union-attr,arg-type]
    if window > most:
        raise SettingsError(
            f"finetune.members.transformer.window: {window} events, but {form.model} reads at most {most}. Set it to "
            f"{most} or less."
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
