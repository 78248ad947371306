"""Loading pretrained decoders in transformers' format whose forward pass numpy can compute.

Supported are Llama-like models, GPT-2, and BERT read as a decoder. Their layers are kept, without the vocabulary. Torch
is needed to load and to train them, not to score.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nightreel.content.encoders.model_source import ModelRequest, locate
from nightreel.content.encoders.safe_loading import loading, read_model
from nightreel.models.base import Arrays
from nightreel.models.neural.transformer.numpy_forward import FORM
from nightreel.models.neural.transformer.pretrained_numpy import ACTIVATIONS, Form, decoded
from nightreel.settings.backbone import Backbone
from nightreel.settings.section import SettingsError

FIELD = "finetune.backbone.model"
PARTS = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.o_proj": "output",
    "self_attn.q_norm": "query_norm",
    "self_attn.k_norm": "key_norm",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
    "attn.c_attn": "query key value",
    "attn.c_proj": "output",
    "ln_1": "attention_norm",
    "ln_2": "mlp_norm",
    "mlp.c_fc": "up",
    "mlp.c_proj": "down",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "mlp_norm",
}
"""Names of a layer's modules in Llama-like models, GPT-2 and BERT → names of parts here."""
AROUND = {
    "norm": "last_norm.",
    "ln_f": "last_norm.",
    "embeddings.LayerNorm": "first_norm.",
    "wpe": "positions",
    "embeddings.position_embeddings": "positions",
}
CLOSE = 2e-3  # maximum difference between numpy and torch, in standard deviations of the states (float32 rounding)
NO_WORDS = {"vocab_size": 1, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None}


def opened(settings: Backbone) -> tuple[nn.Module, Form]:
    """Load a checkpoint's first layers, and its form.

    Raises:
        SettingsError: The checkpoint or peft is missing, or the checkpoint is unreadable or not supported.
    """
    if find_spec("peft") is None:
        raise SettingsError(
            f"{FIELD}: training adapters needs peft, which is not installed. Run `pip install 'nightreel[pipeline]'`."
        )
    source = locate(ModelRequest(settings.model, settings.revision, FIELD, "finetune.backbone.revision"))
    decoder = _read(source.folder, settings.layers)
    words = decoder.get_input_embeddings().weight.detach()
    decoder.set_input_embeddings(nn.Embedding(1, words.shape[1]))
    named = dict(decoder.named_modules())
    if "embeddings.token_type_embeddings" in named:  # BERT adds its first token type to every position
        places, kinds = (named[f"embeddings.{name}_embeddings"].weight for name in ("position", "token_type"))
        with torch.no_grad():
            places += kinds[0]
            kinds.zero_()
    form = _form(decoder, settings, float(words.std()), (source.name, source.revision, source.digest()))
    _compare(decoder, form)
    return decoder, form


def rebuilt(weights: Arrays) -> nn.Module:
    """Rebuild a decoder from stored weights."""
    from transformers import AutoConfig, AutoModel

    facts = dict(Form.of(weights).config)
    decoder = AutoModel.from_config(AutoConfig.for_model(facts.pop("model_type"), **facts), dtype=torch.float32)
    restore(base_parts(decoder), weights)
    if "embeddings.token_type_embeddings" in dict(decoder.named_modules()):
        decoder.embeddings.token_type_embeddings.weight.data.zero_()
    return decoder.eval()  # type: ignore[no-any-return]


def layers_of(decoder: nn.Module) -> nn.ModuleList:
    """The layers of a transformer: its longest list of modules."""
    lists = [module for module in decoder.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=nn.ModuleList())


Part = tuple[str, int | None, Tensor]
"""Name, layer (None outside the layers), and a view of the values, matrices as [out, in]."""


def base_parts(decoder: nn.Module) -> Iterator[Part]:
    """The checkpoint's weights, by the names used here."""
    for index, layer in enumerate(layers_of(decoder)):
        for name, module in layer.named_modules():
            parts = PARTS.get(name, "").split()
            inner: Any = getattr(module, "base_layer", module)  # peft wraps the layer
            for kind, values in inner.named_parameters(recurse=False) if parts else ():
                turned = values.T if is_turned(inner) and values.ndim == 2 else values
                for part, view in zip(parts, turned.chunk(len(parts)), strict=True):
                    yield f"base.layers.{part}.{kind}", index, view
    for name, module in decoder.named_modules():
        for kind, values in module.named_parameters() if name in AROUND else ():
            yield f"base.{AROUND[name]}{kind}".replace("positionsweight", "positions"), None, values


def is_turned(module: nn.Module) -> bool:
    """Whether a layer stores its matrix as [in, out]."""
    return type(module).__name__ == "Conv1D"


def base_arrays(decoder: Any, form: Form) -> Arrays:
    """All arrays for the forward pass of the checkpoint without adapters."""
    arrays = stacked(base_parts(decoder)) | {FORM: form.encoded()}
    if "base.positions" not in arrays:
        arrays["base.frequency"] = decoder.rotary_emb.inv_freq.cpu().float().numpy().copy()
    return arrays


def stacked(parts: Iterator[Part]) -> Arrays:
    """Float32 arrays by name; those of the layers are stacked."""
    arrays: dict[str, list[npt.NDArray[Any]]] = {}
    within = set()
    for name, index, values in parts:
        arrays.setdefault(name, []).append(values.detach().cpu().float().numpy().copy())
        within |= {name} if index is not None else set()
    return {name: np.stack(each) if name in within else each[0] for name, each in arrays.items()}


def restore(parts: Iterator[Part], weights: Arrays) -> None:
    """Copy stored weights into a network."""
    with torch.no_grad():
        for name, index, values in parts:
            kept = weights[name] if index is None else weights[name][index]
            values.copy_(torch.from_numpy(np.array(kept, np.float32)))


def _read(folder: Path, most: int) -> Any:
    """Load the first `most` layers; 0: all."""
    from transformers import AutoConfig

    with loading(folder, FIELD, "config.json and weights as safetensors"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config.is_decoder = True  # gives an encoder causal attention
        config.use_cache = False
        if most:
            config.num_hidden_layers = min(most, config.num_hidden_layers)
            if getattr(config, "layer_types", None):
                config.layer_types = config.layer_types[:most]
        return read_model(folder, FIELD, config=config)


def _refused(decoder: nn.Module, why: str) -> SettingsError:
    return SettingsError(
        f"{FIELD}: {type(decoder).__name__} {why}. Name a decoder with the layers of Llama (SmolLM2, Mistral, Qwen2, "
        "Qwen3) or of GPT-2, or an encoder with BERT's."
    )


def _form(decoder: Any, settings: Backbone, spread: float, origin: tuple[str, str, str]) -> Form:
    """The decoder's form. Raises SettingsError where its layers have unknown parts."""
    config, layers = decoder.config, layers_of(decoder)
    inside = {name.rpartition(".")[0] for name, _ in layers[0].named_parameters()} if len(layers) else {""}
    activation = str(getattr(config, "hidden_act", "") or getattr(config, "activation_function", ""))
    unknown = [*sorted(inside - set(PARTS)), *([] if activation in ACTIVATIONS else [activation])]
    if getattr(config, "is_encoder_decoder", False) or unknown:
        what = unknown[0] if unknown else "it has an encoder, too"
        raise _refused(decoder, f"can't be computed without torch ({what})")
    norm: Any = next(module for name, module in layers[0].named_modules() if PARTS.get(name) == "mlp_norm")
    heads = int(config.num_attention_heads)
    return Form(
        heads=heads,
        head=int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        before="attention.output.LayerNorm" not in inside,
        epsilon=float(getattr(norm, "eps", 0) or norm.variance_epsilon),
        activation=activation,
        spread=spread,
        model=origin[0],
        revision=origin[1],
        digest=origin[2],
        rank=settings.rank,
        alpha=settings.alpha,
        config=config.to_dict() | NO_WORDS,
    )


def _compare(decoder: nn.Module, form: Form) -> None:
    """Raise SettingsError unless numpy and torch give the same states."""
    width = int(decoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
    inputs = form.spread * torch.randn(2, 9, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = decoder(inputs_embeds=inputs).last_hidden_state.numpy()
    actual = decoded(base_arrays(decoder, form), inputs.numpy())
    if float(np.abs(actual - expected).max()) > CLOSE * float(expected.std()):
        raise _refused(decoder, "computes something else than the names of its parts suggest")
