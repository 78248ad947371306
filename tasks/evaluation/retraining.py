"""A champion's recorded choices, trained again on today's split: the third fair way of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tasks.data.dataset import Dataset
from tasks.evaluation.trial import Ranker
from tasks.index.assembly import rehearse
from tasks.index.reader import Reader
from tasks.models.choices import Choices
from tasks.stage import say


def retraining(data: Dataset, scratch: Path, base: Path, finetuned: Path) -> Callable[[str, Choices], Ranker]:
    """(fold, choices) → their ranker, as a bundle in `scratch`. base, finetuned: folders of today's vectors."""

    def retrain(fold: str, choices: Choices) -> Ranker:
        say(f"training the champion's choices again on {fold}")
        # A fine-tuned encoder belongs to the night that made it: today's vectors stand in for the champion's.
        vectors = base if choices.encoder == "base" else finetuned
        rehearse(data, fold, choices, np.load(vectors / "vectors.npy"), {"key_fingerprint": None}, scratch / fold)
        return Reader.open_bundle(scratch / fold, check=False)

    return retrain
