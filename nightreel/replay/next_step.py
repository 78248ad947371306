"""The step after a night: its active users, what they liked, and what they would have been recommended.

Prequential evaluation (Dawid, "Statistical Theory: The Prequential Approach", Journal of the Royal Statistical Society
A 147, 1984): each night's version is evaluated on what happens after it, which it can't have been trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data import free_text
from nightreel.data.contract.gains import RELEVANT, Gains
from nightreel.data.contract.schema import SNAPSHOT_SEARCHES
from nightreel.data.contract.verdicts import Verdicts
from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.data.ingest.timestamps import MICROS
from nightreel.data.item_rights import Rights
from nightreel.data.quality import feedback_labels
from nightreel.data.quality.clean import SnapshotTables, clean_tables
from nightreel.data.quality.type_tables import Loaded
from nightreel.data.sittings import meetings_of
from nightreel.evaluation.metrics.ranking import Truth, per_user
from nightreel.reader.reader import Reader
from nightreel.settings.validate import Validate

Mask = npt.NDArray[np.bool_]
CUTOFF = 10


@dataclass(frozen=True)
class EventLog:
    """All clean events of a log with integer users and items, sorted by user, time and source order.

    user_ids: [users]; item_ids: [items]; user, item, time: [n], item -1 for an event without one, time in epoch
    seconds; positive, met: [n] by validate's labels, met if the event is positive or makes its item seen;
    gains: [n], or None if all are 1; said: what the events say; erased: [users] time from which a user is erased,
    +inf for never; rights: of the items; exclude_seen: whether validate would exclude seen items from lists.
    """

    user_ids: Sequence[str]
    item_ids: pa.Array
    user: IntArray
    item: IntArray
    time: FloatArray
    positive: Mask
    gains: Gains | None
    said: Verdicts
    met: Mask
    erased: FloatArray
    rights: Rights
    exclude_seen: bool

    @property
    def n_items(self) -> int:
        """Number of items in the whole log."""
        return len(self.item_ids)

    @property
    def relevant(self) -> Mask:
        """[n] positive events that say that the user took to the item."""
        return self.positive if self.gains is None else self.positive & (self.gains >= RELEVANT)

    def positives_before(self, moment: float) -> Histories:
        """Positive events before a time, with negative ones beside them, one row per user; empty for users without any
        or erased by then."""
        known = (self.time < moment) & (self.erased[self.user] > moment)
        past = self._histories(self.positive & known)
        if not self.said.negative.any():
            return past
        mask = self.said.negative & known
        negatives = replace(self._histories(mask), verdicts=self.said.turned_down(known)[mask])
        return replace(past, negatives=negatives)

    def hidden(self, moment: float) -> Mask:
        """[items] whether an item may not be shown at a time: blocked, not yet published or expired."""
        return self.rights.hidden(moment)

    def _histories(self, mask: Mask) -> Histories:
        at = np.flatnonzero(mask & (self.item >= 0))
        counts = np.bincount(self.user[at], minlength=len(self.user_ids))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        gains = None if self.gains is None else self.gains[at]
        return Histories(indptr, self.item[at].astype(np.int32), self.time[at], gains=gains)


@dataclass(frozen=True)
class Step:
    """The users with relevant events in [begin, end), one row each.

    users: [n] indices; past: their positives before; met: the items they had seen before; moments: [n] time of their
    first event in the step, epoch seconds; truth: their relevant events in it (only unseen items, if lists exclude seen
    ones).
    """

    users: IntArray
    past: Histories
    met: Histories
    moments: FloatArray
    truth: Truth

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: IntArray) -> Step:
        """The step for some of the users, each at most once."""
        return Step(
            self.users[rows], self.past.take(rows), self.met.take(rows), self.moments[rows], self.truth.take(rows)
        )

    def without_met(self) -> Step:
        """The step without seen items, for lists that may repeat them."""
        nothing = Histories(np.zeros(len(self) + 1, np.int64), np.empty(0, np.int32), np.empty(0))
        return replace(self, met=nothing)

    @property
    def newcomers(self) -> Mask:
        """[n] whether a user had no positive events before."""
        new: Mask = self.past.lengths == 0
        return new


def meetings(loaded: Loaded, settings: Validate, *, private: bool) -> EventLog:
    """Clean and label a whole log as stage validate does, except erasures, which apply from their date.

    Args:
        loaded: The log's typed tables.
        settings: The section `validate` of params.yaml.
        private: Whether users are pseudonyms.
    """
    rejected = loaded.rejected.filter(pc.not_equal(loaded.rejected["table"], "erasures"))
    source = {
        "pseudonymised": private,
        "clock": loaded.clock,
        "rows": {**loaded.rows, "erasures": 0},
        "named": {"items": [], "events": [], "users": []},
    }
    events = free_text.without_texts(loaded.events, lambda texts: [None] * len(texts))
    nobody, nothing = loaded.erasures.slice(0, 0), SNAPSHOT_SEARCHES.empty_table()
    snapshot = SnapshotTables(loaded.items, nobody, loaded.rules, rejected, events, nothing, loaded.users, source)
    clean = clean_tables(snapshot, settings.duplicate_window_s)
    labelled = feedback_labels.label(clean.events, settings)
    log = feedback_labels.as_arrays(labelled)
    met = meetings_of(log, feedback_labels.kinds(labelled), None if loaded.clock == "order" else settings.return_gap_s)
    exclude_seen = feedback_labels.leaves_out_seen(settings, clean.items["media_type"], met.returning)
    if not exclude_seen:
        log = feedback_labels.as_arrays(feedback_labels.once(labelled, met.once))
    gains = labelled["gain"].to_numpy()
    return EventLog(
        user_ids=clean.user_ids,
        item_ids=clean.items["item_id"].combine_chunks(),
        user=log.user.astype(np.int64),
        item=log.item.astype(np.int64),
        time=log.time,
        positive=log.positive,
        gains=gains if (gains[log.positive] < 1.0).any() else None,
        said=Verdicts.of(labelled, clean.items.num_rows),
        met=log.positive | log.seen,
        erased=_erased(clean.user_ids, loaded.erasures),
        rights=Rights.of(clean.items),
        exclude_seen=exclude_seen,
    )


def step_after(log: EventLog, begin: float, end: float, *, exclude_seen: bool) -> Step:
    """Select the users and the truth of [begin, end).

    Args:
        log: The whole log.
        begin: The night's time, epoch seconds; earlier events are known.
        end: Epoch seconds.
        exclude_seen: Whether lists exclude seen items; then only unseen items are relevant, since no list can contain
            others.

    Returns:
        A row for each user with a relevant item, ordered by index; without users who are erased by `begin`.
    """
    inside = np.flatnonzero((log.time >= begin) & (log.time < end) & (log.erased[log.user] > begin))
    key = log.user * log.n_items + log.item
    wanted = inside[log.relevant[inside]]
    if exclude_seen:
        wanted = wanted[~np.isin(key[wanted], key[log.met & (log.time < begin)])]
    users = np.unique(log.user[wanted])
    came, first = np.unique(log.user[inside], return_index=True)
    row = np.searchsorted(users, log.user[wanted])
    return Step(
        users=users,
        past=log.positives_before(begin).take(users),
        met=log._histories(log.met & (log.time < begin)).take(users),
        moments=log.time[inside[first[np.searchsorted(came, users)]]],
        truth=Truth.of(Histories.from_events(row, log.item[wanted], log.time[wanted], len(users)), log.n_items),
    )


def recommended(reader: Reader, step: Step, item_ids: pa.Array, k: int = CUTOFF, model: str = "blend") -> ItemArray:
    """Recommend to each user of a step, as of their first event in it.

    Histories are passed in, whatever the version knows of its users. Item rights and the version's rules apply as of
    that time. If the version excludes seen items, all items that the user had seen are excluded.

    Args:
        reader: The version.
        step: n users.
        item_ids: The log's items.
        k: Length of the lists.
        model: Of the version's models.

    Returns:
        [n, k] the log's item indices, best first, padded with -1.
    """
    known = pa.array(reader.items.ids, pa.string())
    theirs = _numbers(item_ids, known)
    past, met = step.past.renumbered(theirs), step.met.renumbered(theirs)
    ours = np.append(_numbers(known, item_ids), -1)  # padding (-1) selects this last entry
    lists = np.full((len(step), k), -1, np.int32)
    for rows in _stretches(reader, step.moments):
        found = reader.recommend_many(
            past.take(rows),
            moments=step.moments[rows],
            k=k,
            model=model,
            rights_at=float(step.moments[rows[0]]),
            exclude=met.take(rows) if reader.config["exclude_seen"] else None,
        )
        lists[rows, : found.items.shape[1]] = ours[found.items]
    return lists


def ndcg(lists: ItemArray, step: Step) -> FloatArray:
    """[n] NDCG@10 of lists [n, k] against each user's truth; items that no list can contain count as misses."""
    return per_user(lists, step.truth, (CUTOFF,))[f"ndcg@{CUTOFF}"]


def _stretches(reader: Reader, moments: FloatArray) -> Iterator[IntArray]:
    """Groups of rows whose times fall into the same period of rights and rules."""
    rows: dict[tuple[int, int], list[int]] = {}
    for row, moment in enumerate(moments.tolist()):
        span = (reader.items.span(moment), 0 if reader.rules is None else reader.rules.span(moment))
        rows.setdefault(span, []).append(row)
    yield from (np.array(each, np.int64) for each in rows.values())


def _numbers(wanted: pa.Array, among: pa.Array) -> IntArray:
    """[len(wanted)] index of each id in `among`; -1 if missing."""
    found: IntArray = pc.fill_null(pc.index_in(wanted, value_set=among), -1).to_numpy().astype(np.int64)
    return found


def _erased(user_ids: Sequence[str], erasures: pa.Table) -> FloatArray:
    """[users] time of each user's first erasure request; one without a date applies from the first night on."""
    requested = erasures["requested_at"].cast(pa.int64()).cast(pa.float64(), safe=False)
    moments = pc.fill_null(pc.divide(requested, float(MICROS)), -np.inf).to_numpy()
    rows = _numbers(erasures["user_id"].combine_chunks(), pa.array(user_ids, pa.string()))
    erased = np.full(len(user_ids), np.inf)
    np.minimum.at(erased, rows[rows >= 0], moments[rows >= 0])
    return erased
