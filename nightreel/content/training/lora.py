"""Trainable parameters of an encoder: its last layers, or low-rank adapters in them that are merged afterwards.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022; Zhang et al., "AdaLoRA: Adaptive
Budget Allocation for Parameter-Efficient Fine-Tuning", ICLR 2023; both by peft. Memory: only AdamW's moments of the
adapters: rank x (in + out) x 8 bytes per matrix. The merged network is saved, with the base's names and shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nightreel.errors import UserError
from nightreel.settings.embed import Tune

SPARE = 1.5  # AdaLoRA starts with this multiple of its final rank, as in the paper
BEGIN, END = 0.1, 0.3  # shares of the steps before the first and after the last reduction of ranks
ORTHOGONAL = 0.5  # weight of the orthogonality penalty; peft's default


@dataclass(frozen=True)
class Fitted:
    """weights: trained by the optimiser; tuner: peft's, None if whole layers are trained."""

    weights: list[Tensor]
    tuner: Any | None
    adaptive: bool

    def regularise(self) -> None:
        """Add AdaLoRA's penalty to the gradients: its factors represent singular vectors and must be orthogonal."""
        if not self.adaptive:
            return
        factors = [(n, p) for n, p in self.tuner.named_parameters() if "lora_A" in n or "lora_B" in n]  # type: ignore[union-attr]
        total = torch.zeros(())
        for name, factor in factors:
            products = factor @ factor.T if "lora_A" in name else factor.T @ factor
            total = total + torch.linalg.norm(products - torch.eye(len(products)))
        slopes = torch.autograd.grad(ORTHOGONAL * total / len(factors), [factor for _, factor in factors])
        for (_, factor), slope in zip(factors, slopes, strict=True):
            assert factor.grad is not None
            factor.grad += slope

    def allot(self, step: int) -> None:
        """After a step: AdaLoRA reduces ranks where they matter least."""
        if self.adaptive:
            self.tuner.update_and_allocate(step)  # type: ignore[union-attr]

    def finish(self, model: nn.Module) -> None:
        """Merge the adapters into `model`; nothing is trainable afterwards."""
        if self.tuner is not None:
            self.tuner.merge_and_unload()
        model.requires_grad_(False)


def fitted(model: nn.Module, tune: Tune, steps: int, seed: int) -> Fitted:
    """Make trainable what `tune.method` names, in place; adapters start as no change, from the seed."""
    layers = last_layers(model, tune.layers)
    model.requires_grad_(False)
    if tune.method == "full":
        weights = [parameter.requires_grad_(True) for layer in layers for parameter in layer.parameters()]
        return Fitted(weights, None, False)
    from peft import AdaLoraConfig, AdaLoraModel, LoraConfig, LoraModel

    inside = {id(module) for layer in layers for module in layer.modules() if isinstance(module, nn.Linear)}
    names = [name for name, module in model.named_modules() if id(module) in inside]
    adaptive = tune.method == "adalora"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if adaptive:
            shrinking = AdaLoraConfig(
                init_r=max(tune.rank + 1, round(SPARE * tune.rank)),
                target_r=tune.rank,
                lora_alpha=tune.alpha,
                target_modules=names,
                total_step=steps,
                tinit=int(BEGIN * steps),
                tfinal=int(END * steps),
                deltaT=1,
            )
            tuner: Any = AdaLoraModel(model, {"default": shrinking}, "default")  # type: ignore[no-untyped-call]
        else:
            config = LoraConfig(r=tune.rank, lora_alpha=tune.alpha, lora_dropout=0.0, target_modules=names)
            tuner = LoraModel(model, {"default": config}, "default")
    model.eval()
    return Fitted([p for p in model.parameters() if p.requires_grad], tuner, adaptive)


def last_layers(model: nn.Module, count: int) -> list[nn.Module]:
    """The last `count` of a transformer's layers, which are its longest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UserError("embed.encoder: has no layers that can be fine-tuned. Set finetune.encoder_steps to 0.")
    layers = max(lists, key=len)
    return list(layers[max(0, len(layers) - count) :])
