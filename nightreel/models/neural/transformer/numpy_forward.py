"""The transformer's forward pass in numpy: the layers of transformers' GPTNeoXModel.

Only the state after a row's last event is needed, so the last layer computes a single query per row. Rows of equal
padded length are computed together; a row's result doesn't depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.models.fixed_blocks import LINES

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]
EPSILON = np.float32(1e-5)
THETA = 10_000.0  # both are GPTNeoXConfig's own
FORM = "form"  # among the weights where the layers are a pretrained checkpoint's: which ones, as bytes of JSON


def normalised(x: Floats, weight: Floats, bias: Floats, epsilon: np.float32 = EPSILON) -> Floats:
    """LayerNorm over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.einsum("...d,...d->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    return np.asarray(centred / np.sqrt(spread + epsilon) * weight + bias, np.float32)


def rotation(length: int, head: int) -> tuple[Floats, Floats]:
    """cos and sin [length, head] of the rotary position embedding."""
    frequency: Floats = np.float32(THETA) ** (-np.arange(0, head, 2, dtype=np.float32) / np.float32(head))
    angle = np.arange(length, dtype=np.float32)[:, None] * np.concatenate([frequency, frequency])[None, :]
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rotated(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotary position embedding of [..., head]."""
    half = x.shape[-1] // 2
    turned: Floats = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    embedded: Floats = x * cos + turned * sin
    return embedded


def attention(qkv: Floats, heads: int, last: npt.NDArray[np.int64] | None) -> Floats:
    """Causal attention: [rows, length, 3 x dim] → [rows, length, dim]; with `last` [rows]: [rows, 1, dim] at that
    position."""
    rows, length, _ = qkv.shape
    parts = qkv.reshape(rows, length, heads, -1).transpose(0, 2, 1, 3)
    query, key, value = np.split(parts, 3, axis=-1)
    cos, sin = rotation(length, query.shape[-1])
    query, key = rotated(query, cos, sin), rotated(key, cos, sin)
    places = np.arange(length)
    if last is None:
        later = (places[None, :] > places[:, None])[None, None]
    else:
        query = np.take_along_axis(query, last[:, None, None, None], axis=2)
        later = (places[None, :] > last[:, None])[:, None, None, :]
    weight = query @ key.swapaxes(-1, -2) * np.float32(query.shape[-1] ** -0.5)
    weight = np.where(later, np.float32(-np.inf), weight)
    weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    mixed: Floats = weight @ value
    return mixed.transpose(0, 2, 1, 3).reshape(rows, mixed.shape[2], -1)


def linear(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """x W' + b over the last axis, as matrix products of LINES rows each, so that a row's bits don't depend on the
    others: BLAS rounds differently for other shapes."""
    lines = x.size // x.shape[-1]
    blocks = np.zeros((-(-lines // LINES), LINES, x.shape[-1]), np.float32)
    blocks.reshape(-1, x.shape[-1])[:lines] = x.reshape(lines, -1)
    product: Floats = blocks @ weight.T
    return product.reshape(-1, len(weight))[:lines].reshape(*x.shape[:-1], len(weight)) + bias


def silu(x: Floats) -> Floats:
    """x / (1 + exp(-x))."""
    return np.asarray(x / (1.0 + np.exp(-np.maximum(x, np.float32(-80.0)))), np.float32)


def layer(x: Floats, w: Mapping[str, Floats], heads: int, last: npt.NDArray[np.int64] | None) -> Floats:
    """One decoder layer: attention, then the two-layer perceptron, each with pre-normalisation and a residual
    connection."""
    at = "attention"
    seen = normalised(x, w["input_layernorm.weight"], w["input_layernorm.bias"])
    qkv = linear(seen, w[f"{at}.query_key_value.weight"], w[f"{at}.query_key_value.bias"])
    if last is not None:
        x = np.take_along_axis(x, last[:, None, None], axis=1)
    x = x + linear(attention(qkv, heads, last), w[f"{at}.dense.weight"], w[f"{at}.dense.bias"])
    seen = normalised(x, w["post_attention_layernorm.weight"], w["post_attention_layernorm.bias"])
    hidden = silu(linear(seen, w["mlp.dense_h_to_4h.weight"], w["mlp.dense_h_to_4h.bias"]))
    return x + linear(hidden, w["mlp.dense_4h_to_h.weight"], w["mlp.dense_4h_to_h.bias"])


def last_states(weights: Weights, heads: int, inputs: Floats, last: npt.NDArray[np.int64]) -> Floats:
    """The normalised states at one position of each row.

    Args:
        weights: `layers.*`, stacked over layers, and `final_layer_norm.*`, named as in GPTNeoXModel.
        heads: Attention heads.
        inputs: [rows, length, dim].
        last: [rows] the positions.

    Returns:
        [rows, dim]
    """
    stacked = {name.removeprefix("layers."): array for name, array in weights.items() if name.startswith("layers.")}
    depth = len(next(iter(stacked.values())))
    x = inputs
    for index in range(depth):
        w = {name: np.asarray(array[index]) for name, array in stacked.items()}
        x = layer(x, w, heads, last if index == depth - 1 else None)
    return normalised(x[:, 0], weights["final_layer_norm.weight"], weights["final_layer_norm.bias"])
