"""Predicted ratings of a bundle: read from its folder, asked by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.data.histories import IntArray
from tasks.models.engine import mapped
from tasks.models.ratings import RatingModel
from tasks.stage import UserError

if TYPE_CHECKING:
    from tasks.index.reader import Reader


def read_ratings(folder: Path) -> RatingModel | None:
    """The rating head, memory-mapped; None where the bundle has none. Raises FileNotFoundError for a missing file."""
    if not folder.is_dir():
        return None
    try:
        return RatingModel.load(mapped(folder))
    except KeyError as error:
        raise FileNotFoundError(f"{folder.name}/{error.args[0]}.npy") from None


def predicted(reader: Reader, items: Sequence[str], user: str | None, given: Mapping[str, float] | None) -> list[float]:
    """See Reader.rate."""
    model = reader.ratings
    if model is None:
        raise UserError("This version learned from no ratings, so that it predicts none: `score` ranks items.")
    if given is not None and user is not None:
        raise UserError("Give a user or ratings, not both: ratings stand for a user of their own.")
    asked, row = _rows(reader, items), len(reader.users)
    if given is not None:
        model, row = model.folded_in(_rows(reader, given), np.array(list(given.values()), np.float64)), 0
    elif user is not None:
        row = int(reader.users.rows([user])[0])
    return [float(value) for value in model.predict(np.full(len(asked), row), asked)]


def _rows(reader: Reader, items: Iterable[str]) -> IntArray:
    return np.array([reader.items.require(item) for item in items], np.int64)
