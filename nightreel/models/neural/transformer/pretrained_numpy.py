"""The forward pass of a pretrained backbone in numpy: layers like Llama's, GPT-2's and BERT's, with LoRA adapters.

One function computes all three, since they differ only in which parts they have: rotary or learned positions, a gate,
biases, norms of queries and keys, norms before or after each block. `checkpoint` compares it with torch. A row's result
doesn't depend on the other rows, as in `numpy_forward`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from nightreel.models.neural.transformer.numpy_forward import FORM, Floats, Weights, linear, normalised, rotated, silu


def gelu(x: Floats) -> Floats:
    """x Φ(x), with the normal distribution function Φ."""
    return np.asarray(0.5 * x * (1.0 + erf(x * np.float32(0.5**0.5))), np.float32)


def gelu_tanh(x: Floats) -> Floats:
    """GPT-2's tanh approximation of `gelu`."""
    inner = np.float32((2.0 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(0.5 * x * (1.0 + np.tanh(inner)), np.float32)


ACTIVATIONS = {
    "silu": silu,
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
}


@dataclass(frozen=True)
class Form:
    """Architecture and origin of a checkpoint.

    Attributes:
        heads: Attention heads.
        head: Width of a head.
        before: Whether norms are before each block, not after.
        epsilon: Of the norms.
        activation: Name in `ACTIVATIONS`.
        spread: Standard deviation of the checkpoint's word embeddings.
        model: Name of the checkpoint.
        revision: Its commit on the hub.
        digest: Its content hash.
        rank: Of the adapters.
        alpha: Of the adapters.
        config: transformers' configuration, without the vocabulary.
    """

    heads: int
    head: int
    before: bool
    epsilon: float
    activation: str
    spread: float
    model: str
    revision: str
    digest: str
    rank: int
    alpha: int
    config: dict[str, Any]

    def encoded(self) -> npt.NDArray[np.uint8]:
        """The form as bytes of JSON, in an array."""
        return np.frombuffer(json.dumps(vars(self), sort_keys=True).encode(), np.uint8).copy()

    @classmethod
    def of(cls, weights: Weights) -> Form:
        """Read the form from a backbone's weights."""
        return cls(**json.loads(np.asarray(weights[FORM], np.uint8).tobytes()))


@dataclass(frozen=True)
class Layer:
    """One layer's weights (`base.*` and `adapter.*`, by part) and the form."""

    weights: Mapping[str, Floats]
    form: Form

    @classmethod
    def at(cls, weights: Weights, index: int, form: Form) -> Layer:
        inside = "base.layers.", "adapter."
        return cls({name: np.asarray(w[index]) for name, w in weights.items() if name.startswith(inside)}, form)

    def linear(self, part: str, x: Floats) -> Floats:
        """x W' + b + (alpha / rank) x A' B'."""
        weight = self.weights[f"base.layers.{part}.weight"]
        none = np.zeros(len(weight), np.float32)
        found = linear(x, weight, self.weights.get(f"base.layers.{part}.bias", none))
        down = self.weights.get(f"adapter.{part}.down")
        if down is not None:
            narrow = linear(x, down, np.zeros(len(down), np.float32))
            strength = np.float32(self.form.alpha / self.form.rank)
            found += strength * linear(narrow, self.weights[f"adapter.{part}.up"], none)
        return found

    def norm(self, part: str, x: Floats) -> Floats:
        """The part's norm over the last axis; x where the layer has no such part."""
        return normed(self.weights, f"base.layers.{part}", x, self.form.epsilon)

    def has(self, part: str) -> bool:
        """Whether the layer has a part."""
        return f"base.layers.{part}.weight" in self.weights


def normed(weights: Weights, name: str, x: Floats, epsilon: float) -> Floats:
    """LayerNorm, RMSNorm where there is no bias, or x where there is no weight."""
    weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
    if weight is None:
        return x
    if bias is not None:
        return normalised(x, np.asarray(weight), np.asarray(bias), np.float32(epsilon))
    spread = np.einsum("...d,...d->...", x, x)[..., None] / np.float32(x.shape[-1])
    return np.asarray(x / np.sqrt(spread + np.float32(epsilon)) * weight, np.float32)


def attention(layer: Layer, x: Floats, turns: tuple[Floats, Floats] | None) -> Floats:
    """Causal attention: [rows, length, hidden] → [rows, length, heads x head]. Heads may share keys and values."""
    rows, length, _ = x.shape
    parts = [layer.linear(part, x).reshape(rows, length, -1, layer.form.head) for part in ("query", "key", "value")]
    query, key, value = (part.transpose(0, 2, 1, 3) for part in parts)
    query, key = layer.norm("query_norm", query), layer.norm("key_norm", key)
    if turns is not None:
        query, key = rotated(query, *turns), rotated(key, *turns)
    shared = query.shape[1] // key.shape[1]
    key, value = np.repeat(key, shared, axis=1), np.repeat(value, shared, axis=1)
    weight = query @ key.swapaxes(-1, -2) * np.float32(layer.form.head**-0.5)
    places = np.arange(length)
    weight = np.where(places[None, :] > places[:, None], np.float32(-np.inf), weight)
    weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    mixed: Floats = weight @ value
    return mixed.transpose(0, 2, 1, 3).reshape(rows, length, -1)


def passed(layer: Layer, x: Floats, turns: tuple[Floats, Floats] | None) -> Floats:
    """One decoder layer: attention, then the perceptron, each with a residual connection."""
    before, activation = layer.form.before, ACTIVATIONS[layer.form.activation]
    seen = layer.norm("attention_norm", x) if before else x
    x = x + layer.linear("output", attention(layer, seen, turns))
    if not before:
        x = layer.norm("attention_norm", x)
    seen = layer.norm("mlp_norm", x) if before else x
    gated = layer.has("gate")
    hidden = activation(layer.linear("gate" if gated else "up", seen))
    x = x + layer.linear("down", hidden * layer.linear("up", seen) if gated else hidden)
    return x if before else layer.norm("mlp_norm", x)


def decoded(weights: Weights, x: Floats) -> Floats:
    """[rows, length, hidden] the backbone's last hidden states for inputs of the same shape."""
    form, length = Form.of(weights), x.shape[1]
    turns = None
    if "base.positions" in weights:
        x = x + weights["base.positions"][:length]
    else:
        angle = np.arange(length, dtype=np.float32)[:, None] * np.tile(weights["base.frequency"], 2)[None, :]
        turns = np.cos(angle), np.sin(angle)
    x = normed(weights, "base.first_norm", x, form.epsilon)
    for index in range(len(weights["base.layers.query.weight"])):
        x = passed(Layer.at(weights, index, form), x, turns)
    return normed(weights, "base.last_norm", x, form.epsilon)


def last_states(weights: Weights, inputs: Floats, last: npt.NDArray[np.int64]) -> Floats:
    """[rows, dim] the states at position `last` [rows] of inputs [rows, length, dim], through input projection,
    backbone and output projection."""
    hidden: Any = decoded(weights, linear(inputs, weights["enter.weight"], weights["enter.bias"]))
    state = np.take_along_axis(hidden, last[:, None, None], axis=1)[:, 0]
    left = linear(state, weights["leave.weight"], weights["leave.bias"])
    return normalised(left, weights["final_layer_norm.weight"], weights["final_layer_norm.bias"])
