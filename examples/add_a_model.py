"""Adding a model: first-order transitions, which items come right after which.

    python examples/add_a_model.py     # fits it on a made-up log, scores, saves, loads, and scores again

To have it take part in a night, move both classes into a file in one of the rooms of nightreel/models, where the
registry finds it by itself, and list the values to try in params.yaml under finetune.members. docs/extending.md has the
steps.

Source: the baseline "Markov chain" of Ludewig & Jannach, "Evaluation of Session-based Recommendation Algorithms", User
Modeling and User-Adapted Interaction 2018. Memory: 12 bytes for each pair of items that follow each other. Ceiling:
millions of events; one pass over the log.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import ModelConfig, Positive
from nightreel.models.item_to_item import ItemToItem
from nightreel.models.registry import register


class TransitionsConfig(ModelConfig):
    """Hyper-parameters of first-order transitions."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})  # no second fit is needed to try another value

    decay: Positive = 2.0
    """Events after which an event of the history counts exp(-1) of the last one."""


@register(
    "transitions",
    config=TransitionsConfig,
    paper="Ludewig & Jannach, UMUAI 2018",
    cost="12 bytes for each pair of items that follow each other",
    ceiling="millions of events",
)
class Transitions(ItemToItem):
    """`ItemToItem` scores a history by its items' rows of a sparse matrix, and saves and loads that matrix. So only
    `fit` is left to write. A model with a state of another kind implements the whole protocol, nightreel.models.base.
    """

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: TransitionsConfig, *, clock: bool) -> Self:
        """Share of the times that item j came right after item i: [n_items, n_items], rows sum to 1 or 0."""
        same_user = train.rows[1:] == train.rows[:-1]
        before, after = train.items[:-1][same_user], train.items[1:][same_user]
        shape = (catalogue.n_items, catalogue.n_items)
        counts = sp.coo_matrix((np.ones(len(before), np.float32), (before, after)), shape=shape).tocsr()
        totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
        return cls.of(sp.csr_matrix(sp.diags(1.0 / totals) @ counts, dtype=np.float32), config.decay)


def made_up_log(users: int, n_items: int, seed: int = 0) -> Histories:
    """Users who mostly go from item i to item i + 1."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(users):
        steps = rng.choice([1, 1, 1, 5], size=10)
        items = (rng.integers(n_items) + np.cumsum(steps)) % n_items
        rows.append((items.tolist(), (1e9 + 3600.0 * np.arange(10)).tolist()))
    return Histories.from_rows(rows)


def main() -> None:
    """Fit, score, save, load and score again."""
    n_items = 20
    vectors, genres = np.eye(n_items, 8, dtype=np.float32), np.zeros((n_items, 0), np.float32)
    catalogue = Catalogue(vectors, genres, np.full(n_items, np.nan, np.float32))
    model = Transitions.fit(made_up_log(200, n_items), catalogue, TransitionsConfig(decay=2.0), clock=True)

    history = Histories.from_rows([([3, 4, 5], [1.0, 2.0, 3.0])])
    scores = model.score(history, moments=history.last_times + 1.0)
    print("after items 3, 4, 5:", np.argsort(-scores[0], kind="stable")[:3].tolist())

    loaded = Transitions.load(model.arrays(), catalogue)  # a bundle stores arrays() and a reader loads them
    assert np.array_equal(loaded.score(history, history.last_times + 1.0), scores)
    print("the same scores after saving and loading")


if __name__ == "__main__":
    main()
