"""`OpenBundle`: an open version with its arrays, tables, clock and rules. All reader functions take it as input.

It needs numpy, pyarrow, scipy and the trained models only: no training library, no orchestration, no workspace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.bundle import exploration
from nightreel.bundle.clock import Clock
from nightreel.bundle.editorial_rules import RuleTable
from nightreel.bundle.format import read_manifest
from nightreel.bundle.integrity.check import check, reading
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.bundle.newcomers import Newcomers, Rows
from nightreel.bundle.precomputed import Stored
from nightreel.bundle.user_table import UserTable
from nightreel.data.histories import FloatArray, Histories
from nightreel.models.engine import Engine, mapped, top_k_lists, unseen
from nightreel.models.exploration.posterior import TakePosterior
from nightreel.models.factorization.rating_model import FOLDER, RatingModel
from nightreel.models.top_k import TopK
from nightreel.reader.requests import arguments
from nightreel.reader.text_search import WordIndex
from nightreel.reader.visibility import KEPT, Standing, Standings
from nightreel.store.withdrawals_file import Withdrawals

DAY_S = 86_400.0


@dataclass(frozen=True, eq=False)
class OpenBundle:
    """An open version. Immutable, so it can be shared between threads; files are memory-mapped.

    Attributes:
        digest: Name of the version.
        config: Its config.json.
        items: Items with their rights.
        users: Users with their positive events and seen items.
        vectors: [n_items, d] float32 content vectors of unit length.
        engine: The models, and the blend that ranks their candidates.
        facets: Item attributes for filters, caps and reasons.
        stored: Precomputed lists and neighbours.
        ratings: The rating model; None if the version was trained without ratings.
        rules: Editorial rules; None if there are none.
        exploration: How well items of which little is known are taken; None if the version does not say it.
        now: Clock for rights and rules, epoch seconds.
        withdrawals: Withdrawals in force; None if there are none.
        own: The version as it was published, if withdrawals are in force.
        newcomers: What it knows of users without events; None if their context does not pay.
    """

    digest: str
    config: dict[str, Any]
    items: ItemTable
    users: UserTable
    vectors: npt.NDArray[np.float32]
    engine: Engine
    facets: Facets
    stored: Stored
    ratings: RatingModel | None
    rules: RuleTable | None
    exploration: TakePosterior | None = None
    now: Callable[[], float] = time.time
    withdrawals: Withdrawals | None = None
    own: Self | None = None
    newcomers: Newcomers | None = None
    _valued: dict[tuple[tuple[str, float], ...], Self] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def read(cls, folder: Path, now: Callable[[], float] = time.time) -> Self:
        """Open a bundle's folder, memory-mapped. Raises BundleError if a file is missing or malformed."""
        manifest = read_manifest(folder)
        check(folder, manifest)
        with reading(folder):
            items, facets = ItemTable.read(folder / "items.parquet"), Facets(folder / "items.parquet")
            engine = Engine.open(folder, manifest.config.get("vector_index", {}).get("expansion_search", 0))
            return cls(
                digest=manifest.digest,
                config=manifest.config,
                items=items,
                users=UserTable.read(folder, manifest.config["key_fingerprint"]),
                vectors=engine.catalogue.vectors,
                engine=engine,
                facets=facets,
                stored=Stored.read(folder, items, manifest.config),
                ratings=read_ratings(folder / FOLDER),
                rules=RuleTable.read(folder, items, facets),
                exploration=exploration.read(folder, engine.catalogue.vectors.shape[1]),
                now=now,
                newcomers=Newcomers.read(folder, len(items)),
            )

    def top(
        self, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str, hidden: Mask | None
    ) -> TopK:
        """Lists as the models rank them, without editorial rules. hidden: [n] items that may not be shown."""
        return TopK(*self.engine.top_k(past, moments, k, exclude=exclude, hidden=hidden, model=model))

    def segment_scores(self, past: Histories, moments: FloatArray, rows: Rows) -> npt.NDArray[np.float32]:
        """[1, n_items] scores of the items for a user without events. rows: the user's labels in `newcomers`."""
        popularity = self.engine.popularity(past, moments)
        return popularity if self.newcomers is None else self.newcomers.scores(popularity[0], rows)[None]

    def top_in_segments(
        self, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, rows: Rows, hidden: Mask | None
    ) -> TopK:
        """The list for a user without events, likewise without editorial rules. rows: as in `segment_scores`."""
        scores = unseen(self.segment_scores(past, moments, rows), self.engine.left_out(past, exclude), hidden)
        return TopK(*top_k_lists(scores, k))

    def length(self, k: int) -> int:
        """The length of a list of at most k items. More than there are items would take memory for nothing."""
        return min(arguments.whole("k", k, 1), max(1, len(self.items)))

    def standing(self, rights_at: float | None = None) -> Standing:
        """Rights and rules in force at a time, epoch seconds; None: now."""
        return self._standings.at(self.now() if rights_at is None else arguments.number("rights_at", rights_at))

    def hidden_from(self, audience_age: int | None, rights_at: float | None = None) -> Mask:
        """[n] items that may not be shown at a time to an audience of an age in years; None: of any age."""
        if audience_age is not None:
            arguments.whole("audience_age", audience_age, 0)
        return self.standing(rights_at).hidden | self.facets.unsuitable(audience_age)

    @cached_property
    def _standings(self) -> Standings:
        return Standings(self.items, self.rules, self.stored.without)

    @property
    def edition(self) -> str:
        """Identifies the responses as long as withdrawals, rights and rules stay the same, and with exploration the
        day; a response of another edition may not be shown."""
        held, now = self.withdrawals.sha256[:16] if self.withdrawals else "none", self.now()
        day = () if self.exploration is None else (day_of(now),)
        return ".".join((self.digest, held, *map(str, (*self._standings.span(now), *day))))

    def by_value(self, standing: Standing) -> Self:
        """The version whose lists are ranked by the values in force: those of rules where there are some, else its own.
        Its lists are computed when they are asked for, since the precomputed ones follow its own values."""
        value = standing.value
        if value is None or self.engine.heads is None or value == self.engine.outcome_values:
            return self
        key = tuple(sorted(value.items()))
        if key not in self._valued:
            if len(self._valued) >= KEPT:
                self._valued.clear()
            self._valued[key] = self._with_values(value)
        return self._valued[key]

    def _with_values(self, value: Mapping[str, float]) -> Self:
        engine, stored = replace(self.engine, outcome_values=value), replace(self.stored, lists=None)
        return replace(self, engine=engine, stored=stored)

    def hiding(self, ids: Collection[str]) -> Self:
        """The version as it is evaluated: exactly these items are hidden, at any time, and there are no rules."""
        return replace(self.unruled, items=self.unruled.items.hiding(ids))

    @cached_property
    def unruled(self) -> Self:
        """The models without rules, values or withdrawals, as they are evaluated: test events were not subject to
        them."""
        plain = replace(self.own or self, rules=None)
        return plain._with_values({}) if plain.engine.outcome_values else plain

    @cached_property
    def clock(self) -> Clock:
        """The version's clock."""
        return Clock.of(self.config)

    @cached_property
    def words(self) -> WordIndex:
        """The search index; built on first use."""
        return self.own.words if self.own is not None else WordIndex.build(self.facets)


def day_of(instant: float) -> int:
    """Number of the day (UTC) of a time in epoch seconds."""
    return int(instant // DAY_S)


def read_ratings(folder: Path) -> RatingModel | None:
    """Open the rating model, memory-mapped; None if there is none. Raises FileNotFoundError for a missing file."""
    if not folder.is_dir():
        return None
    try:
        return RatingModel.load(mapped(folder))
    except KeyError as error:
        raise FileNotFoundError(f"{folder.name}/{error.args[0]}.npy") from None
