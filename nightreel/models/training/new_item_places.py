"""Whether lists keep places for new items: measured on validation, where they must not cost more than COST."""

from __future__ import annotations

from dataclasses import replace

from nightreel.models.engine import BLEND, Engine
from nightreel.models.training.one_standard_error import surely_worse
from nightreel.models.training.training_examples import Validator
from nightreel.models.training.training_positions import Positions
from nightreel.stage import log_progress

COST = 0.02  # share of NDCG@10 that new items are worth


def places_kept(engine: Engine | None, positions: Positions, every: int, validator: Validator) -> int:
    """Compare lists with and without places for new items.

    Args:
        engine: Models and ranker of the last cut; None where no ranker was scored, so that nothing is known.
        positions: The last cut's held-out positions.
        every: Every so-many-th place; 0 for none.
        validator: How lists are scored.

    Returns:
        `every`, or 0 if the places surely cost more than COST of NDCG@10.
    """
    if not every or engine is None or not len(positions):
        return every
    without = validator.per_position(engine, positions, BLEND)
    kept = validator.per_position(replace(engine, new_every=every), positions, BLEND)
    dear = surely_worse(positions.users, kept, (1 - COST) * without)
    log_progress(
        f"every {every}th place kept for new items: validation NDCG@10 {kept.mean():.4f}, {without.mean():.4f} without"
        + ("; they cost too much, and are left out" if dear else "")
    )
    return 0 if dear else every
