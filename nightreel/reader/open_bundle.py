"""`OpenBundle`: an open version with its arrays, tables, clock and rules. All reader functions take it as input.

It needs numpy, pyarrow, scipy and the trained models only: no training library, no orchestration, no workspace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.bundle.clock import Clock
from nightreel.bundle.editorial_rules import RuleTable
from nightreel.bundle.format import read_manifest
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.bundle.precomputed import Stored
from nightreel.bundle.user_table import UserTable
from nightreel.data.histories import FloatArray, Histories
from nightreel.errors import UserError
from nightreel.models.engine import Engine, mapped
from nightreel.models.factorization.rating_model import FOLDER, RatingModel
from nightreel.models.top_k import TopK
from nightreel.reader.text_search import WordIndex
from nightreel.reader.visibility import Standing, Standings
from nightreel.store.withdrawals_file import Withdrawals


@dataclass(frozen=True, eq=False)
class OpenBundle:
    """The parts of an open version. Immutable: safe to share between threads; files are memory-mapped.

    Attributes:
        digest: The version's name.
        config: Its config.json.
        items: What may be shown, by item.
        users: Who they are, what they took to and what they have seen.
        vectors: [n_items, d] float32 content vectors of unit length.
        engine: The models and what ranks their candidates.
        facets: What filters, caps and reasons look at.
        stored: Lists and neighbours that were computed with the version.
        ratings: The rating head; None where the version learned from no ratings.
        rules: The editors' rules; None where there are none.
        now: The clock that rights and rules go by, epoch seconds.
        withdrawals: What holds beside the version.
        own: The version as it was published, where withdrawals hold.
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
    now: Callable[[], float] = time.time
    withdrawals: Withdrawals | None = None
    own: Self | None = None

    @classmethod
    def read(cls, folder: Path, now: Callable[[], float] = time.time) -> Self:
        """A bundle's folder, memory-mapped. Raises UserError for a file that is not there."""
        manifest = read_manifest(folder)
        try:
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
                now=now,
            )
        except FileNotFoundError as error:
            raise UserError(f"{folder}: the bundle lacks a file ({error}). Use another version.") from None

    def top(
        self, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str, hidden: Mask | None
    ) -> TopK:
        """Lists as the models give them, without the version's own rules. hidden: [n_items] what nobody may get."""
        return TopK(*self.engine.top_k(past, moments, k, exclude=exclude, hidden=hidden, model=model))

    def standing(self, rights_at: float | None = None) -> Standing:
        """What may be shown at an instant, epoch seconds, and the rules that hold then; None: now."""
        return self._standings.at(self.now() if rights_at is None else rights_at)

    @cached_property
    def _standings(self) -> Standings:
        return Standings(self.items, self.rules, self.stored.without)

    @property
    def edition(self) -> str:
        """Names what is answered while withdrawals, rights and rules stay; no answer of another one may be shown."""
        held = self.withdrawals.sha256[:16] if self.withdrawals else "none"
        return ".".join((self.digest, held, *map(str, self._standings.span(self.now()))))

    def hiding(self, ids: Collection[str]) -> Self:
        """How a night judges it: just these items hidden, at any time, without rules; the same for two versions."""
        return replace(self.unruled, items=self.unruled.items.hiding(ids))

    @cached_property
    def unruled(self) -> Self:
        """The recommender by itself, as it is evaluated: no test event knew rules or withdrawals."""
        return replace(self.own or self, rules=None)

    @cached_property
    def clock(self) -> Clock:
        """What "now" means to this version."""
        return Clock.of(self.config)

    @cached_property
    def words(self) -> WordIndex:
        """What `search` looks in; built when first asked for."""
        return self.own.words if self.own is not None else WordIndex.build(self.facets)


def read_ratings(folder: Path) -> RatingModel | None:
    """The rating head, memory-mapped; None where the bundle has none. Raises FileNotFoundError for a missing file."""
    if not folder.is_dir():
        return None
    try:
        return RatingModel.load(mapped(folder))
    except KeyError as error:
        raise FileNotFoundError(f"{folder.name}/{error.args[0]}.npy") from None
