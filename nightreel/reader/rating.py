"""Rating prediction from a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nightreel.data.histories import IntArray
from nightreel.errors import UserError
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.requests import arguments


def predicted(
    bundle: OpenBundle, items: Sequence[str], user: str | None, given: Mapping[str, float] | None
) -> list[float]:
    """See Reader.rate."""
    model = bundle.ratings
    if model is None:
        raise UserError("This version was trained without ratings and can't predict them. Use `score` to rank items.")
    if given is not None and user is not None:
        raise UserError("Give a user or ratings, not both: ratings replace the user's own.")
    rows, row = _rows(bundle, items), len(bundle.users)
    if given is not None:
        arguments.of_type("ratings", given, Mapping)
        given = {arguments.text("ratings", item): arguments.number(f"ratings[{item}]", given[item]) for item in given}
        model, row = model.folded_in(_rows(bundle, given), np.array(list(given.values()), np.float64)), 0
    elif user is not None:
        row = int(bundle.users.rows([arguments.text("user", user)])[0])
    return [float(value) for value in model.predict(np.full(len(rows), row), rows)]


def _rows(bundle: OpenBundle, items: Iterable[str]) -> IntArray:
    return np.array([bundle.items.require(item) for item in items], np.int64)
