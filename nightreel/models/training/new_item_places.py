"""How many places lists keep for new items: measured on validation, where they must not cost more than COST."""

from __future__ import annotations

from dataclasses import replace

from nightreel.models.engine import BLEND, Engine
from nightreel.models.training.one_standard_error import surely_worse
from nightreel.models.training.training_examples import Validator
from nightreel.models.training.training_positions import Positions
from nightreel.stage import log_progress

COST = 0.02  # share of NDCG@10 that new items are worth


def places_kept(engine: Engine | None, positions: Positions, every: int, validator: Validator) -> int:
    """Compare lists with and without places for new items; where they cost too much, with half as many.

    Args:
        engine: Models and ranker of the last cut; None where no ranker was scored, so that nothing is known.
        positions: The last cut's held-out positions.
        every: Every so-many-th place; 0 for none.
        validator: How lists are scored.

    Returns:
        `every`; twice that if so many places surely cost more than COST of NDCG@10; 0 if these do, too.
    """
    if not every or engine is None or not len(positions):
        return every
    without = validator.per_position(engine, positions, BLEND)
    for tried in (every, 2 * every):
        kept = validator.per_position(replace(engine, new_every=tried), positions, BLEND)
        dear = surely_worse(positions.users, kept, (1 - COST) * without)
        log_progress(
            f"1 place in {tried} kept for new items: validation NDCG@10 {kept.mean():.4f}, {without.mean():.4f} without"
            + ("; that costs too much" if dear else "")
        )
        if not dear:
            return tried
    return 0
