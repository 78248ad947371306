"""The reader: answers from a published bundle, and from nothing else.

Imports numpy, pyarrow, scipy and the engine only: no training library, no orchestration, no workspace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.data.histories import FloatArray, Histories, IntArray
from tasks.index import answering, channels, listing
from tasks.index.bundle import read_manifest, verify
from tasks.index.business_rules import InForce, RuleTable
from tasks.index.cache import fetch
from tasks.index.clock import Clock
from tasks.index.facets import Facets
from tasks.index.item_table import ItemTable, Mask
from tasks.index.lists import Explanation, Recommendation, Similar, TopK
from tasks.index.predicted import predicted, read_ratings
from tasks.index.stored import Stored
from tasks.index.stores import open_store
from tasks.index.user_table import UserTable
from tasks.index.wishes import PLAIN, Wishes
from tasks.index.word_search import WordIndex
from tasks.models.engine import Engine
from tasks.models.ratings import FOLDER, RatingModel
from tasks.stage import UserError


@dataclass(frozen=True, eq=False)
class Reader:
    """An open version. Immutable: safe to share between threads; files are memory-mapped.

    vectors: [n_items, d] content vectors of unit length.
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

    @classmethod
    def open(cls, uri: str | None = None, *, channel: str = "live", version: str | None = None) -> Reader:
        """What a channel points to (or `version`, a digest or its beginning) in a store, every file checked.

        uri: a folder or s3://bucket/prefix; default NIGHTREEL_STORE, then the state directory's store. Raises
        StoreError when nothing is published, BundleError naming a file that is torn or changed.
        """
        store = open_store(uri)
        return cls._open(fetch(store, channels.resolve(store, channel, version)))

    @classmethod
    def open_bundle(cls, folder: Path, *, check: bool = True) -> Reader:
        """A bundle in a folder; check=False trusts bytes that were written a moment ago."""
        if check:
            verify(folder)
        return cls._open(folder)

    @classmethod
    def _open(cls, folder: Path) -> Reader:
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
                stored=Stored.read(folder),
                ratings=read_ratings(folder / FOLDER),
                rules=RuleTable.read(folder, items, facets),
            )
        except FileNotFoundError as error:
            raise UserError(f"{folder}: the bundle lacks a file ({error}). Use another version.") from None

    @property
    def user_ids(self) -> pa.Array:
        """[n] the users that the bundle knows: pseudonyms where config["pseudonymised"]."""
        return self.users.ids

    @property
    def histories(self) -> Histories:
        """What each known user took to: a row a user, and a last, empty one for everybody unknown."""
        return self.users.histories

    @property
    def models(self) -> tuple[str, ...]:
        """What `recommend_many` can answer with: "blend" and its members."""
        return self.engine.models

    def recommend(
        self,
        user: str | None = None,
        *,
        history: Sequence[str] | None = None,
        k: int,
        at: float | None = None,
        exclude_seen: bool | None = None,
        wishes: Wishes = PLAIN,
        reasons: bool = False,
    ) -> list[Recommendation]:
        """The k best items for a user, or for a history of item ids (oldest first); popular ones for nobody known.

        at: the moment of the answer, epoch seconds (or a position where the source has no clock); default: as the
        bundle was evaluated. exclude_seen: leave out what is in the history or was seen; None likewise. Ids in
        `history` that the bundle does not know are passed over (see `unknown`). wishes: filters, rules, spread, this
        visit; the list may be shorter than k where they permit no more. reasons: say why, for each item. The version's
        own rules hold as of `at`, else now.
        """
        question = answering.ask(self, user, history, at, exclude_seen, wishes)
        return listing.recommendations(self, question, k, wishes, reasons, self.in_force(at))

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Sequence[str] | None = None,
        at: float | None = None,
        exclude_seen: bool | None = None,
    ) -> Explanation:
        """Why an item (by id or exact title) is, or is not, recommended to a user or for a history; see `recommend`.

        The named evidence is measured: the served model is asked again without it. Raises UserError with near matches
        for an unknown item.
        """
        question = answering.ask(self, user, history, at, exclude_seen, PLAIN)
        return answering.explanation(self, question, item, self.in_force(at))

    def search(self, text: str, k: int) -> list[Similar]:
        """The k items whose titles, creators, tags, genres and descriptions fit a text best, by BM25; typing errors in
        words of titles are forgiven. The first search builds the index (see `words`)."""
        return answering.found(self, text, k)

    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None = None,
        exclude: Histories | None = None,
        k: int,
        model: str = "blend",
    ) -> TopK:
        """Lists for histories of item indices. moments: [n], each row's instant, for its features and for what has
        expired; None: just after the last event known. exclude: items that a row may not get; None: only what is
        hidden from all. Memory is bounded: rows are answered in blocks. The version's own rules hold as of now; scores
        are NaN for what they bring in and the model did not rank.
        """
        at = self.clock.expiry(len(histories), None) if moments is None or self.clock.ordered else moments
        moments = np.full(len(histories), np.nan) if moments is None else moments
        return listing.many(self, histories, moments, exclude, k, model, at, self.in_force(None))

    def recommend_users(
        self, user_ids: Sequence[str], k: int, *, at: float | None = None, exclude_seen: bool | None = None,
        audience_age: int | None = None,
    ) -> pa.Table:  # fmt: skip
        """Rows user_id, item_id, rank (from 1), score for many users; unknown ones get what is popular.

        exclude_seen: leave out what a user has seen; None: as the bundle was evaluated. audience_age: as in Wishes. The
        version's own rules hold as of `at`, else now; score is NaN for what they bring in and the model did not rank.
        """
        return listing.table(self, user_ids, k, at, exclude_seen, Wishes(audience_age=audience_age))

    def rate(
        self, items: Sequence[str], user: str | None = None, *, ratings: Mapping[str, float] | None = None
    ) -> list[float]:
        """The rating that a user would give each item (by id), or somebody who gave `ratings` (item id → rating).

        Whoever is unknown is predicted from the items alone. Raises UserError for an unknown item, and where the
        version learned from no ratings.
        """
        return predicted(self, items, user, ratings)

    def similar(self, item_id: str, k: int) -> list[Similar]:
        """The k items whose content is nearest; raises UserError with near matches for an unknown item."""
        return answering.similar(self, item_id, k)

    def score(
        self, histories: Histories, items: Sequence[int], *, moments: FloatArray | None = None, model: str = "blend"
    ) -> npt.NDArray[np.float32]:
        """[n, len(items)] of item indices for histories; the blend ranks these items as if there were no others."""
        return answering.scores(self, histories, np.asarray(items, np.int64), moments, model)

    def knows(self, user_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[n] whether the bundle holds each user."""
        return self.users.rows(user_ids) < len(self.users)

    def unknown(self, history: Sequence[str]) -> list[str]:
        """Item ids that the bundle does not know."""
        return [item for item in history if self.items.index_of(item) is None]

    def top(
        self, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str, at: FloatArray,
        hidden: Mask | None = None,
    ) -> TopK:  # fmt: skip
        """Lists as the models give them, without the version's own rules; see tasks.index.listing.top."""
        return listing.top(self, past, moments, exclude, k, model, at, hidden)

    def known(self, rows: IntArray, at: float | None, without: bool) -> tuple[Histories, Histories | None, FloatArray]:
        """Histories, items to leave out, and moments of user rows."""
        past = self.users.histories.take(rows)
        return past, self.users.seen.take(rows) if without else None, self.clock.moments(past, at)

    def in_force(self, at: float | None) -> InForce | None:
        """The version's own rules at a moment, None or a position: now. None where none hold."""
        if self.rules is None:
            return None
        return self.rules.in_force(None if self.clock.ordered else at)

    @property
    def edition(self) -> str:
        """Names what is answered now: the digest, and with rules in it the span of time that they hold for. What was
        kept under another edition may not be shown any more."""
        return self.digest if self.rules is None else f"{self.digest}.{self.rules.span()}"

    @cached_property
    def unruled(self) -> Reader:
        """The recommender by itself, as it is evaluated: rules change by the day, and no test event knew them."""
        return replace(self, rules=None)

    @cached_property
    def clock(self) -> Clock:
        """What "now" means to this version."""
        return Clock.of(self.config)

    @cached_property
    def words(self) -> WordIndex:
        """What `search` looks in; built when first asked for."""
        return WordIndex.build(self.facets)
