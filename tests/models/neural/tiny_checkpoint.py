"""Tiny decoders in transformers' format, weights drawn from a seed: as large as a test needs, of every kind."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nightreel.settings.backbone import Backbone

SHAPE = {"vocab_size": 20, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {"intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
ENDS = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
_kept = TemporaryDirectory(prefix="nightreel-tiny-")


@cache
def checkpoint(kind: str = "llama") -> Path:
    """The folder of one: llama, qwen3, gpt2, bert; gemma, t5 and gpt_neox are for refusals."""
    import torch
    from transformers import AutoConfig, AutoModel

    own: dict[str, Any] = {
        "llama": WIDE, "qwen3": WIDE | {"head_dim": 12}, "gemma": WIDE | {"head_dim": 8},
        "gpt2": {"n_positions": 64}, "bert": {"intermediate_size": 48, "max_position_embeddings": 64},
        "t5": {"d_kv": 8, "d_ff": 48}, "gpt_neox": {"intermediate_size": 48},
    }[kind]  # fmt: skip
    folder = Path(_kept.name) / kind
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModel.from_config(AutoConfig.for_model(kind, **SHAPE, **ENDS, **own))
        for values in model.parameters():  # biases and norms start at 0 and 1, where a mistake would not show
            values.data += 0.02 * torch.randn_like(values)
    model.save_pretrained(folder)
    return folder


def backbone(kind: str = "llama", **changes: Any) -> Backbone:
    """Settings that name it."""
    return Backbone(**{"model": str(checkpoint(kind)), "revision": "", "layers": 0, "rank": 4, "alpha": 8, **changes})
