"""Fit content vectors to behaviour: fine-tune the encoder's last layers, then fuse text, sound and pictures.

Each step is kept only if it clearly improves the validation NDCG@10 of content kNN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nightreel.content.cache.vector_cache import encode_cached
from nightreel.content.comparison import Compare
from nightreel.content.encoders.registry import trainable
from nightreel.content.item_pairs import close_pairs
from nightreel.content.item_text import read_texts
from nightreel.content.modalities import Vectors, read_media_vectors
from nightreel.content.training.contrastive import finetune_encoder
from nightreel.content.training.kept_encoder import KeptContent, write_changes
from nightreel.content.training.multimodal_fusion import TEXT, learn_fusion
from nightreel.data.histories import Histories
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress, state_directory

Losses = list[dict[str, Any]]


@dataclass(frozen=True)
class FitInputs:
    """Inputs of the fit. train: positives that every fold trains on, so that no fold's test is used; texts: the
    catalogue and the output of understand; used: whether any model needs content."""

    train: Histories
    n_items: int
    texts: tuple[Path, Path]
    compare: Compare
    settings: Settings
    used: bool

    @cached_property
    def pairs(self) -> npt.NDArray[np.int64]:
        """[p, 2] items that a user interacted with close together."""
        return close_pairs(self.train)

    @property
    def popularity(self) -> npt.NDArray[np.int64]:
        """[n_items] number of events of each item."""
        return np.bincount(self.train.items, minlength=self.n_items)


@dataclass(frozen=True)
class ContentVectors:
    """vectors [n_items, d]; fitted: how they were made, as in SelectedParams; losses: rows of step and loss."""

    vectors: Vectors
    fitted: Literal["base", "finetuned", "fused"]
    encoder_losses: Losses
    fusion_losses: Losses


def fit_content(base: Vectors, lesson: FitInputs, out: Path) -> ContentVectors:
    """Return the base's vectors, or better ones, whose model is saved below out."""
    return fuse_media(tune_encoder(base, lesson, out / "encoder"), lesson, out / "fusion")


def tune_encoder(base: Vectors, lesson: FitInputs, folder: Path) -> ContentVectors:
    """Vectors of the fine-tuned encoder if they improve the validation metric, else the base's."""
    pairs, settings = lesson.pairs, lesson.settings.finetune
    used = lesson.used and base.any() and trainable(lesson.settings.embed)
    if not settings.encoder_steps or not used or len(pairs) < settings.encoder_pairs:
        log_progress(f"encoder: not fine-tuned ({settings.encoder_steps} steps requested, {len(pairs):,} item pairs)")
        return ContentVectors(base, "base", [], [])
    texts = read_texts(*lesson.texts)
    tuned = finetune_encoder(
        lesson.settings.embed,
        texts,
        pairs,
        lesson.popularity,
        steps=settings.encoder_steps,
        batch=settings.encoder_pairs,
        seed=settings.seed,
    )
    vectors, tally = encode_cached(tuned.encoder, texts, state_directory() / "cache")
    log_progress(tally.line())
    losses = rows_of(tuned.losses)
    found = lesson.compare(base, vectors)
    log_progress(
        f"encoder: content kNN's validation NDCG@10 {found.before:.4f} before, {found.after:.4f} after fine-tuning"
    )
    if not found.better:
        return ContentVectors(base, "base", losses, [])
    tuned.save(folder)
    write_changes(tuned.network, folder.parent / "warm")
    return ContentVectors(vectors, "finetuned", losses, [])


def kept_vectors(kept: KeptContent, base: Vectors, lesson: FitInputs, out: Path) -> ContentVectors:
    """The vectors of an earlier night's encoder; only new and changed items are encoded.

    Args:
        kept: What that night kept, which are no fused vectors.
        base: The pre-trained encoder's vectors.
        lesson: Tonight's settings and texts.
        out: The stage's output folder; the fine-tuned encoder is saved below it.
    """
    if kept.fitted == "base":
        log_progress("content vectors: not fitted to behaviour, as selected in the published version's night")
        return ContentVectors(base, "base", [], [])
    encoder, network = kept.encoder(lesson.settings.embed)
    network.save(out / "encoder")
    vectors, tally = encode_cached(encoder, read_texts(*lesson.texts), state_directory() / "cache")
    log_progress(f"content vectors: of the encoder that the published version's night has fine-tuned; {tally.line()}")
    return ContentVectors(vectors, "finetuned", [], [])


def fuse_media(text: ContentVectors, lesson: FitInputs, folder: Path) -> ContentVectors:
    """Vectors fused from text, sound and pictures if they improve the validation metric, else the text's."""
    settings = lesson.settings.finetune
    if not settings.fusion.steps or not lesson.used:
        return text
    media = read_media_vectors(lesson.texts[1])
    if not media:
        return text
    given = {TEXT: text.vectors, **media}
    fused = learn_fusion(given, lesson.pairs, lesson.popularity, settings.fusion, settings.seed)
    counts = ", ".join(f"{name} of {int(vectors.any(axis=1).sum()):,}" for name, vectors in given.items())
    if fused is None:
        log_progress(f"fusion ({counts} items): fewer than {settings.fusion.pairs} item pairs; only text is used")
        return text
    vectors = fused.fuse(given)
    found = lesson.compare(text.vectors, vectors)
    log_progress(
        f"fusion ({counts} items): content kNN's validation NDCG@10 {found.before:.4f} with text, "
        f"{found.after:.4f} fused"
    )
    if not found.better:
        return replace(text, fusion_losses=rows_of(fused.losses))
    fused.save(folder)
    return replace(text, vectors=vectors, fitted="fused", fusion_losses=rows_of(fused.losses))


def rows_of(losses: list[tuple[int, float]]) -> Losses:
    """Rows for a CSV."""
    return [{"step": step, "loss": loss} for step, loss in losses]
