"""A small bundle whose version explores: trials are made up, all else is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nightreel.bundle import exploration
from nightreel.bundle.format import read_manifest, seal
from nightreel.models.exploration.content_space import ContentSpace
from nightreel.models.exploration.item_trials import ItemTrials
from nightreel.models.exploration.posterior import fit_posterior
from tests.support.bundles import write_bundle

ITEMS = 60


def explore(folder: Path, share: float = 0.3) -> str:
    """Let a bundle explore: every third item was shown often, the others never. Returns the digest."""
    vectors = np.load(folder / "vectors.npy")
    space, n = ContentSpace.fit(vectors), len(vectors)
    trials = np.where(np.arange(n) % 3 == 0, 500.0, 0.0)
    successes = np.round(trials * (0.1 + 0.05 * (np.arange(n) % 2)))
    known = ItemTrials("shown", trials, successes, float(successes.sum()), 0.11, np.zeros(n))
    exploration.write(folder, fit_posterior(known, space.reduced(vectors), space))
    return seal(folder, read_manifest(folder).config | {exploration.SHARE: share})


def write_explored(folder: Path, share: float = 0.3, **changes: Any) -> str:
    """A bundle of ITEMS items as of `write_bundle`, which explores; returns its digest."""
    write_bundle(folder, items=ITEMS, **changes)
    return explore(folder, share)
