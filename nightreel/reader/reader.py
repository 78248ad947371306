"""The reader: answers from a published bundle, and from nothing else.

Imports numpy, pyarrow, scipy and the engine only: no training library, no orchestration, no workspace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.bundle.clock import Moment
from nightreel.bundle.format import verify
from nightreel.data.histories import FloatArray, Histories
from nightreel.models.top_k import TopK
from nightreel.reader import apply_withdrawals, queries, recommend
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import PLAIN, RequestOptions
from nightreel.reader.rating import predicted
from nightreel.reader.results import Explanation, Recommendation, Similar
from nightreel.store import channels
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import Withdrawals, read


@dataclass(frozen=True, eq=False)
class Reader(OpenBundle):
    """The doors to an open version. Immutable: safe to share between threads.

    Two clocks, each with an argument of its own on every door. `at` is the moment of the answer: what the ranking's
    features are computed for (default: tonight, just after the last event that the version knows). `rights_at`, in
    epoch seconds whatever the source's own clock is, is the instant at which it is judged what may be shown (blocked,
    published_at, expires_at, rules; default: what `now` says). Neither moves the other.
    """

    @classmethod
    def open(
        cls,
        uri: str | None = None,
        *,
        channel: str = "live",
        version: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> Reader:
        """What a channel points to (or `version`, a digest or its beginning) in a store, every file checked.
        The channel's withdrawals hold for either. uri: a folder or s3://bucket/prefix; default NIGHTREEL_STORE, then
        the state directory's; now: the clock of rights and rules, for a replay or a test. Raises StoreError for nothing
        published or unreadable withdrawals, BundleError naming a file that is torn or changed."""
        store = open_store(uri)
        digest, beside = channels.opened(store, channel, version)
        held = read(store, beside)  # first: it is small, and without it nothing may be shown
        return cls.read(fetch(store, digest), now).under(held)

    @classmethod
    def open_bundle(cls, folder: Path, *, check: bool = True, now: Callable[[], float] = time.time) -> Reader:
        """A bundle in a folder; check=False trusts bytes that were written a moment ago; now: as for `open`."""
        if check:
            verify(folder)
        return cls.read(folder, now)

    def under(self, withdrawals: Withdrawals | None) -> Reader:
        """The same version as withdrawals let it be shown, in place of those that held; None: as it was published."""
        return apply_withdrawals.under(self.own or self, withdrawals)

    @property
    def user_ids(self) -> pa.Array:
        """The users that can be asked for, ascending: pseudonyms where config["pseudonymised"]."""
        return self.users.known

    @property
    def histories(self) -> Histories:
        """What each user of `users.ids` took to: a row a user, and a last, empty one for everybody unknown."""
        return self.users.remembered

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
        at: Moment = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
        wishes: RequestOptions = PLAIN,
        reasons: bool = False,
    ) -> list[Recommendation]:
        """The k best items for a user, or for a history of item ids (oldest first); popular ones for nobody known.

        at: the moment of the answer, epoch seconds (or a position where the source has no clock), or "last-event" for
        just when the user last did something, as an evaluation asks; default: tonight. rights_at: see the class.
        exclude_seen: leave out what is in the history or was seen; None: as the bundle was evaluated. Ids in `history`
        that the bundle does not know are passed over (see `unknown`). wishes: filters, rules, spread, this visit; the
        list may be shorter than k where they permit no more. reasons: say why, for each item.
        """
        question = queries.resolve_request(self, user, history, at, exclude_seen, wishes)
        return recommend.recommendations(self, question, k, wishes, reasons, self.standing(rights_at))

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Sequence[str] | None = None,
        at: Moment = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
    ) -> Explanation:
        """Why an item (by id or exact title) is, or is not, recommended to a user or for a history; see `recommend`.

        The named evidence is measured: the served model is asked again without it. Raises UserError with near matches
        for an unknown item.
        """
        question = queries.resolve_request(self, user, history, at, exclude_seen, PLAIN)
        return queries.explanation(self, question, item, self.standing(rights_at))

    def search(self, text: str, k: int, *, rights_at: float | None = None) -> list[Similar]:
        """The k items whose titles, creators, tags, genres and descriptions fit a text best, by BM25; typing errors in
        words of titles are forgiven. The first search builds the index (see `words`). rights_at: see the class."""
        return queries.search(self, text, k, self.standing(rights_at))

    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None = None,
        exclude: Histories | None = None,
        k: int,
        model: str = "blend",
        rights_at: float | None = None,
    ) -> TopK:
        """Lists for histories of item indices. moments: [n], each row's instant, for its features; None: tonight.
        exclude: items that a row may not get; None: only what is hidden from all. rights_at: see the class. Memory is
        bounded: rows are answered in blocks. Scores are NaN for what rules bring in and the model did not rank.
        """
        moments = np.full(len(histories), np.nan) if moments is None else moments
        return recommend.many(self, recommend.Asked(histories, moments, exclude), k, model, self.standing(rights_at))

    def recommend_users(
        self,
        user_ids: Sequence[str],
        k: int,
        *,
        at: Moment | Sequence[Moment] = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
        audience_age: int | None = None,
    ) -> pa.Table:
        """Rows user_id, item_id, rank (from 1), score for many users; unknown ones get what is popular.

        at: as for `recommend`, for all or [n] for each; rights_at: see the class. exclude_seen: leave out what a user
        has seen; None: as the bundle was evaluated. audience_age: as in Wishes. score is NaN for what rules bring in
        and the model did not rank.
        """
        asked = (user_ids, k, at, exclude_seen, RequestOptions(audience_age=audience_age))
        return recommend.table(self, *asked, self.standing(rights_at))

    def rate(
        self, items: Sequence[str], user: str | None = None, *, ratings: Mapping[str, float] | None = None
    ) -> list[float]:
        """The rating that a user would give each item (by id), or somebody who gave `ratings` (item id → rating).

        Whoever is unknown is predicted from the items alone. Raises UserError for an unknown item, and where the
        version learned from no ratings.
        """
        return predicted(self, items, user, ratings)

    def similar(self, item_id: str, k: int, *, rights_at: float | None = None) -> list[Similar]:
        """The k items whose content is nearest; raises UserError with near matches for an unknown item. rights_at: see
        the class."""
        return queries.similar(self, item_id, k, self.standing(rights_at))

    def score(
        self, histories: Histories, items: Sequence[int], *, moments: FloatArray | None = None, model: str = "blend"
    ) -> npt.NDArray[np.float32]:
        """[n, len(items)] of item indices for histories; the blend ranks these items as if there were no others."""
        return queries.scores(self, histories, np.asarray(items, np.int64), moments, model)

    def knows(self, user_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[n] whether the bundle holds each user."""
        return self.users.rows(user_ids) < len(self.users)

    def unknown(self, history: Sequence[str]) -> list[str]:
        """Item ids that the bundle does not know."""
        return [item for item in history if self.items.index_of(item) is None]
