"""Counts how many configurations were evaluated on a test split, since the best of many is overestimated.

Stored in the state directory, because the count differs between otherwise equal runs.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

from nightreel.stage import read_json, write_json


def count_read(state: Path, split_digest: str, recipe: str) -> int:
    """Register that a recipe is evaluated on a test split; returns the number of recipes so far, including this one.

    A recipe counts once, however often it runs.
    """
    path = state / "test_reads.json"
    (state / "locks").mkdir(parents=True, exist_ok=True)
    with (state / "locks" / "test_reads.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known: dict[str, list[str]] = read_json(path) if path.exists() else {}
        recipes = sorted({*known.get(split_digest, []), recipe})
        if recipes != known.get(split_digest):
            write_json(path, known | {split_digest: recipes})
    return len(recipes)
