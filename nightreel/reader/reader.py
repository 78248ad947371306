"""`Reader`: recommendations, similar items, search and explanations from one published version.

It needs numpy, pyarrow, scipy and the trained models only: no training library, no orchestration, no workspace.
"""

from __future__ import annotations

import time
import warnings
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
from nightreel.reader import apply_withdrawals, lists_of_users, queries, recommend
from nightreel.reader.exploration.thompson_sampling import exploration_of
from nightreel.reader.open_bundle import OpenBundle, day_of
from nightreel.reader.options import PLAIN, RequestOptions
from nightreel.reader.question import resolve_request
from nightreel.reader.requests import arguments, batches
from nightreel.reader.requests.faults import answering
from nightreel.reader.requests.recent_events import NOTHING, Recent
from nightreel.reader.results import Explanation, Recommendation, Similar
from nightreel.store import channels
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import Withdrawals, read


@dataclass(frozen=True, eq=False)
class Reader(OpenBundle):
    """An open version. Immutable, so it can be shared between threads.

    Most methods have up to two arguments for time, which are independent of each other:

    - `at`: the time for which a list is computed, used by the features of the ranking. Epoch seconds, or a position
      in the user's history where the source has no clock, or "last-event" for just after the user's last event, as in
      an evaluation. Default: just after the end of the version's data.
    - `rights_at`: the time at which it is decided what may be shown (`blocked`, `published_at`, `expires_at`, rules),
      always in epoch seconds. Default: the current time.

    Example:
        >>> from nightreel import Reader
        >>> reader = Reader.open()  # the live version of the default store
        >>> recommendations = reader.recommend("u000", k=3)
        >>> [each.rank for each in recommendations]
        [1, 2, 3]
        >>> recommendations[0].reason
        'for you'
    """

    @classmethod
    def open(
        cls,
        uri: str | Path | None = None,
        *,
        channel: str = "live",
        version: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> Reader:
        """Open a published version; every file is checked against its SHA-256.

        The channel's withdrawals (items and users that may no longer be shown) apply to every version.

        Args:
            uri: The store: a folder or s3://bucket/prefix. Default: NIGHTREEL_STORE, else the store in the state
                directory.
            channel: Name of the channel.
            version: Digest of a version, or its first characters. Default: the version that the channel points to.
            now: Returns the current time in epoch seconds; for replays and tests.

        Returns:
            The open version.

        Raises:
            StoreError: Nothing is published, the version does not exist, or the withdrawals can't be read.
            BundleError: A file is incomplete or was changed; the message names it.

        Example:
            >>> reader = Reader.open(channel="live")
            >>> len(reader.digest)
            64
        """
        store = open_store(uri)
        arguments.text("channel", channel)
        if version is not None:
            arguments.text("version", version)
        digest, withdrawals = channels.opened(store, channel, version)
        held = read(store, withdrawals)  # first: it is small, and without it nothing may be shown
        return cls.read(fetch(store, digest), now).under(held)

    @classmethod
    def open_bundle(cls, folder: str | Path, *, check: bool = True, now: Callable[[], float] = time.time) -> Reader:
        """Open a bundle in a local folder, without a store and so without withdrawals.

        Args:
            folder: The bundle's folder.
            check: Whether to check every file's SHA-256; False only for files that have just been written or checked.
            now: Returns the current time in epoch seconds.

        Returns:
            The open bundle.

        Raises:
            BundleError: A file is missing, incomplete or was changed; the message names it.
        """
        folder = arguments.folder("folder", folder)
        if check:
            verify(folder)
        return cls.read(folder, now)

    def under(self, withdrawals: Withdrawals | None) -> Reader:
        """Return the same version under other withdrawals, which replace the present ones.

        Args:
            withdrawals: Items and users that may not be shown, and rules; None for the version as it was published.
        """
        if withdrawals is not None:
            arguments.of_type("withdrawals", withdrawals, Withdrawals)
        return apply_withdrawals.under(self.own or self, withdrawals)

    @property
    def user_ids(self) -> pa.Array:
        """Ids of the known users, ascending; pseudonyms if `config["pseudonymised"]` is true."""
        return self.users.known

    @property
    def histories(self) -> Histories:
        """Positive events of each user of `users.ids`, one row per user; the last, empty row is for unknown users."""
        return self.users.remembered

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that `recommend_many` and `score` accept: "blend" and its members."""
        return self.engine.models

    @answering
    def recommend(
        self,
        user: str | None = None,
        *,
        history: Sequence[str] | None = None,
        k: int,
        offset: int = 0,
        at: Moment = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
        options: RequestOptions = PLAIN,
        reasons: bool = False,
        recent: Recent = NOTHING,
        context: Mapping[str, object] | None = None,
        wishes: RequestOptions | None = None,
    ) -> list[Recommendation]:
        """Recommend items for a user or for a history.

        Args:
            user: User id. An unknown user gets popular items; one without events whom the table `users` describes, what
                is popular among similar users, where that is better.
            history: Item ids, oldest first, instead of a user. Ids that the version does not know are ignored, see
                `unknown`.
            k: Maximum number of items, at least 1.
            offset: Number of places to pass over, for the pages of a longer list. Where options or rules change the
                order, each page is made of what the pages of k before it left, down to 1,000 places.
            at: Time for which the list is computed, see the class.
            rights_at: Time at which it is decided what may be shown, see the class.
            exclude_seen: Whether to leave out items of the history and items that the user has seen. Default: as the
                version was evaluated.
            options: Filters, pins, diversity, exploration and the like.
            reasons: Whether to return reasons for each item.
            recent: What the user did since the version was made, see `RecentEvents`: likes extend the history, seen
                items are left out where seen items are, disliked and skipped ones always, and similar items move down.
            context: What is known of a user without events, or of the moment, such as `{"country": "DE", "hour": 20}`:
                country, age_band, languages, plan, labels, device, region, hour (0 to 23, UTC), weekday. It goes before
                what the version knows, and changes nothing for users with events. Unknown labels count as not given.
            wishes: Deprecated name of `options`.

        Returns:
            At most k items, best first; fewer where the filters leave fewer.

        Raises:
            UserError: Both a user and a history are given, an argument has a wrong type or range, or the context names
                a column that the version does not take.

        Example:
            >>> from nightreel import RequestOptions
            >>> dramas = reader.recommend("u000", k=5, options=RequestOptions(genres=("Drama",)), reasons=True)
            >>> {"Drama" in reader.items.genres[reader.items.index_of(each.item_id)] for each in dramas}
            {True}
            >>> len(reader.recommend(history=["i000", "i002"], k=10))
            10
            >>> [each.rank for each in reader.recommend("u000", k=2, offset=4)]
            [5, 6]
            >>> len(reader.recommend(context={"country": "DE", "languages": ["de", "en"]}, k=10))
            10
        """
        if wishes is not None:
            warnings.warn("Reader.recommend: wishes= is now called options=", DeprecationWarning, stacklevel=2)
            options = wishes
        arguments.of_type("options", options, RequestOptions)
        k, offset = self.length(k), arguments.whole("offset", offset, 0)
        question = resolve_request(self, user, history, at, exclude_seen, options, recent, context)
        options, standing = options.also_skipped(recent.disliked), self.standing(rights_at)
        day = day_of(self.now() if rights_at is None else rights_at)
        exploration = exploration_of(self, options, user, history, day)
        return recommend.recommendations(
            self.by_value(standing), question, k, options, reasons, standing, offset, exploration
        )

    @answering
    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Sequence[str] | None = None,
        at: Moment = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
        options: RequestOptions = PLAIN,
        recent: Recent = NOTHING,
        context: Mapping[str, object] | None = None,
    ) -> Explanation:
        """Explain why an item is, or is not, recommended to a user or for a history.

        Reasons and evidence name items of the history that the user liked, and without which the served model, asked
        again, gives the item a lower score and no better place. A given history counts as liked.

        Args:
            item: Item id or exact title.
            user: User id.
            history: Item ids, oldest first, instead of a user.
            at: Time for which the list is computed, see the class.
            rights_at: Time at which it is decided what may be shown, see the class.
            exclude_seen: As in `recommend`.
            options: Of the list that is explained: its filters, and the likes and skips of this visit. What changes the
                order of a list (diversity, pins, …) does not change the place that is told.
            recent: As in `recommend`.
            context: As in `recommend`.

        Returns:
            Score, rank, reasons and evidence.

        Raises:
            UserError: The item is unknown (the message names similar ones), or both a user and a history are given.

        Example:
            >>> best = reader.recommend("u000", k=1)[0]
            >>> reader.explain(best.item_id, "u000").rank
            1
        """
        item = arguments.text("item", item)
        arguments.of_type("options", options, RequestOptions)
        question = resolve_request(self, user, history, at, exclude_seen, options, recent, context)
        options = options.also_skipped(recent.disliked)
        standing = self.standing(rights_at)
        return queries.explanation(self.by_value(standing), question, item, options, standing)

    @answering
    def search(
        self, text: str, k: int, *, audience_age: int | None = None, rights_at: float | None = None
    ) -> list[Similar]:
        """Search items by title, creators, tags, genres and description; tolerates typing errors in titles.

        Ranks by BM25F (Robertson and Zaragoza, 2009). The first search builds the index (see `words`).

        Args:
            text: The query.
            k: Maximum number of items.
            audience_age: Only items that are suitable for this age in years, as in `RequestOptions`.
            rights_at: Time at which it is decided what may be shown, see the class.

        Returns:
            At most k items, best first; `score` is the BM25F score.

        Example:
            >>> reader.search("spcae story 3", k=1)[0].title  # with a typing error
            'Space story 3'
        """
        text, k = arguments.text("text", text), self.length(k)
        return queries.search(self, text, k, self.hidden_from(audience_age, rights_at))

    @answering
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
        """Recommend items for many histories at once. Memory is bounded: rows are processed in blocks.

        Args:
            histories: n rows of item indices with their times.
            moments: [n] time of each row's list, NaN for the end of the data; None for the end of the data for all.
            exclude: n rows of item indices that the row's list may not contain; None to exclude nothing but hidden
                items.
            k: Length of the lists.
            model: One of `models`.
            rights_at: Time at which it is decided what may be shown, see the class.

        Returns:
            items [n, k], item indices, best first, -1 where there are no more; scores [n, k], NaN for items that rules
            added and the model did not rank.

        Example:
            >>> reader.recommend_many(reader.histories, k=4).items.shape == (len(reader.histories), 4)
            True
        """
        n, k = len(self.items), arguments.whole("k", k, 1)
        histories = batches.histories("histories", histories, n)
        exclude = None if exclude is None else batches.histories("exclude", exclude, n, len(histories))
        asked = recommend.Asked(histories, batches.moments("moments", moments, len(histories)), exclude)
        model, standing = arguments.choice("model", model, self.models), self.standing(rights_at)
        return recommend.many(self.by_value(standing), asked, k, model, standing)

    @answering
    def recommend_users(
        self,
        user_ids: Sequence[str],
        k: int,
        *,
        at: Moment | Sequence[Moment] = None,
        rights_at: float | None = None,
        exclude_seen: bool | None = None,
        audience_age: int | None = None,
        exclude: Sequence[str] = (),
    ) -> pa.Table:
        """Recommend items for many users, as a table.

        Args:
            user_ids: n user ids. Unknown users get popular items.
            k: Maximum number of items per user.
            at: Time for which the lists are computed, see the class; one for all users, or [n].
            rights_at: Time at which it is decided what may be shown, see the class.
            exclude_seen: Whether to leave out items that the user has seen. Default: as the version was evaluated.
            audience_age: Only items that are suitable for this age in years, as in `RequestOptions`.
            exclude: Ids of items to leave out of every list, likewise.

        Returns:
            Rows user_id, item_id, rank (from 1) and score; NaN scores for items that rules added and the model did not
            rank.

        Example:
            >>> reader.recommend_users(["u000", "u001"], k=2)["rank"].to_pylist()
            [1, 2, 1, 2]
        """
        options, k = (
            RequestOptions(audience_age=audience_age, exclude=arguments.texts("exclude", exclude)),
            self.length(k),
        )
        user_ids = arguments.texts("user_ids", user_ids)
        batches.each_moment("at", at, len(user_ids))
        standing = self.standing(rights_at)
        return lists_of_users.table(self.by_value(standing), user_ids, k, at, exclude_seen, options, standing)

    @answering
    def rate(
        self, items: Sequence[str], user: str | None = None, *, ratings: Mapping[str, float] | None = None
    ) -> list[float]:
        """Predict ratings. A user without ratings is predicted from the items alone.

        Args:
            items: n item ids.
            user: User id.
            ratings: Ratings by item id, instead of a user.

        Returns:
            [n] ratings on the scale of the source.

        Raises:
            UserError: An item is unknown, the version was trained without ratings, or both a user and ratings are
                given.
        """
        return queries.ratings(self, arguments.texts("items", items), user, ratings)

    @answering
    def similar(
        self, item_id: str, k: int, *, audience_age: int | None = None, rights_at: float | None = None
    ) -> list[Similar]:
        """Return the items whose content is most similar to an item's.

        Args:
            item_id: Item id or exact title.
            k: Maximum number of items.
            audience_age: Only items that are suitable for this age in years, as in `RequestOptions`.
            rights_at: Time at which it is decided what may be shown, see the class.

        Returns:
            At most k items, most similar first; `score` is the cosine of the content vectors, -1 to 1.

        Raises:
            UserError: The item is unknown; the message names similar ones.

        Example:
            >>> len(reader.similar("i004", k=3))
            3
        """
        item_id, k = arguments.text("item_id", item_id), self.length(k)
        return queries.similar(self, item_id, k, self.hidden_from(audience_age, rights_at))

    @answering
    def score(
        self, histories: Histories, items: Sequence[int], *, moments: FloatArray | None = None, model: str = "blend"
    ) -> npt.NDArray[np.float32]:
        """Score given items for histories. The blend ranks them as if there were no other items.

        Args:
            histories: n rows of item indices with their times.
            items: m item indices.
            moments: [n] time of each row's scores, see `recommend_many`.
            model: One of `models`.

        Returns:
            [n, m] scores; higher is better. They are comparable within a row only.

        Example:
            >>> reader.score(reader.histories, [0, 1, 2]).shape[1]
            3
        """
        histories = batches.histories("histories", histories, len(self.items))
        rows = batches.indices("items", items, len(self.items))
        moments = batches.moments("moments", moments, len(histories))
        return queries.scores(self, histories, rows, moments, arguments.choice("model", model, self.models))

    def describes(self, user: str) -> bool:
        """Return whether the version knows labels of a user without events, by which their list is made.

        Example:
            >>> reader.describes("nobody")
            False
        """
        user = arguments.text("user", user)
        return self.newcomers is not None and bool(self.newcomers.of_user(self.users.names([user])[0]))

    def knows(self, user_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return for each of n user ids whether the version knows it: [n].

        Example:
            >>> reader.knows(["u000", "somebody else"]).tolist()
            [True, False]
        """
        return self.users.rows(arguments.texts("user_ids", user_ids)) < len(self.users)

    def unknown(self, history: Sequence[str]) -> list[str]:
        """Return the item ids that the version does not know.

        Example:
            >>> reader.unknown(["i000", "no such item"])
            ['no such item']
        """
        return [item for item in arguments.texts("history", history, ordered=True) if self.items.index_of(item) is None]
