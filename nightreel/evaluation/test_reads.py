"""How often a test split has been read: every look at it is one more chance to be fooled by it.

Counted in the state directory, since it differs between runs that are otherwise equal.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

from nightreel.stage import read_json, write_json


def count_read(state: Path, split_digest: str, recipe: str) -> int:
    """Note that `recipe` reads the test split; returns how many recipes have done so, this one included.

    The same recipe counts once, however often it runs.
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
