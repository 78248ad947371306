"""Parts of a sentence encoder, loaded from a folder in transformers' format: tokenizer, transformer, pooling."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nightreel.content.encoders.safe_loading import loading, read_model
from nightreel.data.histories import ItemArray
from nightreel.settings.section import SettingsError
from nightreel.stage import read_json

Pooling = Literal["mean", "cls", "max"]
MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
FIELD = "embed.encoder"
CHARACTERS_A_TOKEN = 32
"""Characters per readable token beyond which text is not tokenized: an hour's transcript costs no extra time."""


@dataclass(frozen=True)
class EncoderNetwork:
    """tokenizer and model from transformers; folder: their source; most_tokens: maximum length that they can read."""

    folder: Path
    tokenizer: Any
    model: Any
    pooling: Pooling
    most_tokens: int

    @classmethod
    def open(cls, folder: Path) -> EncoderNetwork:
        """Load in float32 on the CPU, only from local files, without remote code and without pickles.

        Raises SettingsError naming embed.encoder if the folder can't be used.
        """
        from transformers import AutoTokenizer

        pooling = read_pooling(folder)
        with loading(folder, FIELD, "config.json, a tokenizer and weights as safetensors"):
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            # Weights that the files lack are initialised at random: always the same, and none that matter.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = read_model(folder, FIELD)
        reach = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or 10**9)
        return cls(folder, tokenizer, model.requires_grad_(False), pooling, int(reach))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.config.hidden_size)

    def tokens(self, texts: Sequence[str], most: int) -> list[ItemArray]:
        """Token ids of each text, including special ones, at most `most`; lengths differ."""
        if not texts:
            return []
        clipped = [text[: most * CHARACTERS_A_TOKEN] for text in texts]
        found = self.tokenizer(clipped, truncation=True, max_length=most, return_attention_mask=False)["input_ids"]
        return [np.asarray(ids, np.int32) for ids in found]

    def batch(self, rows: Sequence[ItemArray], length: int, n: int) -> tuple[Tensor, Tensor]:
        """ids and mask, [n, length] int64: the rows, padded on the right; missing rows have one padding token."""
        ids = np.full((n, length), self.tokenizer.pad_token_id or 0, np.int64)
        mask = np.zeros((n, length), np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        mask[len(rows) :, 0] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """[n, dim] float32 vectors of unit length."""
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        elif self.pooling == "max":
            pooled = hidden.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)
        else:
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1)

    def save(self, folder: Path) -> None:
        """Save the weights as safetensors; all other files are copied unchanged, so that they reveal nothing about
        this machine."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.rglob("*"):
            inner = path.relative_to(self.folder)
            if path.suffix in {".json", ".txt", ".model"} and not path.name.endswith(".index.json"):
                (folder / inner).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / inner)
        # Copied: tied weights share memory, which the format does not allow.
        weights = {name: value.contiguous().clone() for name, value in self.model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def read_pooling(folder: Path) -> Pooling:
    """The pooling that sentence-transformers' modules.json names; mean by default. Raises SettingsError."""
    listed = folder / "modules.json"
    kinds = {m["type"].rpartition(".")[2]: m["path"] for m in read_json(listed)} if listed.is_file() else {}
    foreign = sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"})
    if foreign:
        raise SettingsError(
            f"embed.encoder: {folder.name} has the module {foreign[0]} after its transformer, which is not supported. "
            "Choose an encoder with a transformer and pooling only."
        )
    config = folder / kinds.get("Pooling", "1_Pooling") / "config.json"
    if not config.is_file():
        return "mean"
    values = read_json(config)
    if isinstance(values.get("pooling_mode"), str):
        named = [values["pooling_mode"]]
    else:
        named = [MODES.get(key, key) for key, on in values.items() if key.startswith("pooling_mode_") and on]
    for mode in MODES.values():
        if named == [mode]:
            return mode
    raise SettingsError(
        f"embed.encoder: {folder.name} uses the pooling {json.dumps(named)}, which is not supported. "
        f"Choose one with {', '.join(MODES.values())} pooling."
    )
