"""Drift of the data: tonight's snapshot against the last good one (the champion's, by the profile in its bundle), and
the newest events against those that were trained on.

Only what differs from the last good snapshot can stop; what differs from training is there to be known: every test is
later than its training.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq

from tasks.data.dataset import Dataset
from tasks.data.histories import FloatArray
from tasks.data.protocols import GLOBAL
from tasks.data.splits import TEST, TRAIN, VALID
from tasks.evaluation.champion import Champion, Unreadable
from tasks.evaluation.data_profile import (
    CONTENT,
    Vectors,
    directions_of,
    of_events,
    of_snapshot,
    profile,
    projected,
    spreads,
)
from tasks.evaluation.spread import Spread, ks, psi
from tasks.index.store import Missing, Store
from tasks.settings import Drift, Limits
from tasks.stage import write_json

PROFILE, DIRECTIONS = "profile.json", "directions.npy"
DAY = 86_400.0
SNAPSHOT, ARRIVALS, TRAINING = "the last good snapshot", "its events, by those since", "training, by the test's events"
SAME_ENCODER = ("encoder", "revision", "weights", "dim", "max_tokens", "pooling")
State = Literal["steady", "warning", "stop", "told", "not measured"]


@dataclass(frozen=True)
class Change:
    """One figure of drift. against: SNAPSHOT, ARRIVALS or TRAINING; warn, stop: its bounds, None where it has none;
    state: `told` where it has neither."""

    against: str
    what: str
    figure: float | None
    warn: float | None
    stop: float | None
    state: State
    text: str


@dataclass(frozen=True)
class Known:
    """What a published version remembers of its data. embed: the encoder's card; key: of its pseudonyms."""

    profile: Mapping[str, Any]
    directions: Vectors
    item_ids: frozenset[str]
    user_ids: frozenset[str]
    embed: Mapping[str, Any]
    key: str | None

    @property
    def spreads(self) -> dict[str, Spread]:
        return {name: Spread.from_json(value) for name, value in self.profile["spreads"].items()}


@dataclass(frozen=True)
class Profiled:
    """Tonight's profile and directions, which a later night is compared with, and what has changed."""

    profile: dict[str, Any]
    directions: Vectors
    changes: list[Change]


def known_data(store: Store, champion: Champion | Unreadable | None, source: str) -> Known | str:
    """What the champion remembers of its data, or why it can't be compared with. source: tonight's."""
    if champion is None:
        return "no version was live before"
    if isinstance(champion, Unreadable):
        return "the champion can't be read"
    if champion.source not in (None, source):
        return f"the champion learnt from another source, {champion.source!r}"
    root = f"versions/{champion.digest}/"
    try:
        told = json.loads(store.get(f"{root}rehearsal/{PROFILE}"))
        directions = np.load(io.BytesIO(store.get(f"{root}rehearsal/{DIRECTIONS}")), allow_pickle=False)
        users = pq.read_table(io.BytesIO(store.get(f"{root}users.parquet")), columns=["user_id"])
    except Missing:
        return "the champion's version keeps no profile of its data"
    config = champion.config
    return Known(
        told, directions, frozenset(champion.item_ids), frozenset(users["user_id"].to_pylist()),
        config.get("embed", {}), config.get("key_fingerprint"),
    )  # fmt: skip


def write_drift(folder: Path, profiled: Profiled, rows_known: Mapping[str, Any]) -> None:
    """drift.json, and the profile that is published with the version; rows_known: see tasks.data.fates.remembered."""
    write_json(folder / "drift.json", [asdict(each) for each in profiled.changes])
    write_json(folder / PROFILE, profiled.profile | {"rows_known": rows_known})
    np.save(folder / DIRECTIONS, profiled.directions, allow_pickle=False)


def drifted(
    data: Dataset, vectors: Vectors, known: Known | str, config: Mapping[str, Any], settings: Drift
) -> Profiled:  # fmt: skip
    """Tonight's profile, and its changes. vectors: [n_items, d] of the encoder as it is; known: of the champion's data,
    or why nothing can be compared; config: of the candidate bundle (embed, key_fingerprint)."""
    directions = directions_of(vectors)
    content = projected(vectors, directions)
    own = profile(data, content)
    training = list(_training(data, content, settings))
    if isinstance(known, str):
        return Profiled(own, directions, [_unmeasured(SNAPSHOT, "everything", known), *training])
    lies = _content(known, vectors, config)
    unlike = [] if lies else [_unmeasured(SNAPSHOT, CONTENT, "another encoder was in use, or no item had content")]
    changes = [
        *_schema(known, own, settings), *_volume(known, own, settings),
        *_newcomers(known, data, config.get("key_fingerprint"), settings), *unlike,
        *_apart(SNAPSHOT, known.spreads, _whole(known, data, lies), settings, settings.psi),
        *_arrived(known, data, lies, settings), *training,
    ]  # fmt: skip
    return Profiled(own, directions, changes)


def _whole(known: Known, data: Dataset, lies: Mapping[str, FloatArray]) -> dict[str, Spread]:
    rows = np.arange(data.events.num_rows, dtype=np.int64)
    return spreads(of_snapshot(data, lies) | of_events(data, rows, lies), known.spreads)


def _content(known: Known, vectors: Vectors, config: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Where tonight's items lie along the champion's directions; nothing where another encoder made them."""
    embed = config.get("embed", {})
    same = all(known.embed.get(name) == embed.get(name) for name in SAME_ENCODER)
    same = same and known.directions.shape[1] == vectors.shape[1] and bool(known.directions.any())
    return projected(vectors, known.directions) if same else {}


def _schema(known: Known, own: Mapping[str, Any], settings: Drift) -> Iterator[Change]:
    """Columns that lost cells; one that is gone has lost all of them, a new one none."""
    for table, before in known.profile["columns"].items():
        now = own["columns"][table]
        for column, share in before.items():
            left = now.get(column, 0.0)
            gone = "" if column in now else ", the column is gone"
            text = f"{left:.1%} of cells filled, {share:.1%} before{gone}"
            yield _bounded(SNAPSHOT, f"{table}.{column} filled", share - left, settings.emptier, text)
        for column in sorted(now.keys() - before.keys()):
            yield Change(SNAPSHOT, f"{table}.{column} filled", now[column], None, None, "told", "a new column")


def _volume(known: Known, own: Mapping[str, Any], settings: Drift) -> Iterator[Change]:
    for table, before in known.profile["rows"].items():
        now = own["rows"][table]
        growth = (now - before) / max(before, 1)
        limits = settings.more if growth > 0 else settings.fewer
        yield _bounded(SNAPSHOT, f"rows of {table}", abs(growth), limits, f"{now:,}, {before:,} before ({growth:+.1%})")
    if known.profile["clock"] == own["clock"] == "time":
        days = (own["data_until"] - known.profile["data_until"]) / DAY
        text = f"the newest event is {abs(days):,.1f} days {'later' if days >= 0 else 'earlier'}"
        yield Change(SNAPSHOT, "freshness", days, 0.0, None, "steady" if days >= 0 else "warning", text)


def _newcomers(known: Known, data: Dataset, key: str | None, settings: Drift) -> Iterator[Change]:
    items = sum(item not in known.item_ids for item in data.item_ids)
    yield _share("new items", items, data.n_items, settings.new_items)
    if known.key != key:
        yield _unmeasured(SNAPSHOT, "new users", "the key of the pseudonyms is another: every user looks new")
        return
    users = sum(user not in known.user_ids for user in data.user_ids)
    yield _share("new users", users, data.n_users, settings.new_users)


def _arrived(known: Known, data: Dataset, lies: Mapping[str, FloatArray], settings: Drift) -> Iterator[Change]:
    """The events since the last good snapshot, against all of its events."""
    if known.profile["clock"] != "time" or data.clock != "time":
        yield _unmeasured(ARRIVALS, "everything", "there is no clock: no event is later than all others")
        return
    rows = np.flatnonzero(data.events["time"].to_numpy() > known.profile["data_until"])
    if len(rows) < settings.least:
        why = f"{len(rows):,} events have come since, fewer than evaluate.drift.least = {settings.least:,}"
        yield _unmeasured(ARRIVALS, "everything", why)
        return
    own = spreads(of_events(data, rows, lies), known.spreads)
    yield from _apart(ARRIVALS, known.spreads, own, settings, settings.arrivals)


def _training(data: Dataset, content: Mapping[str, FloatArray], settings: Drift) -> Iterator[Change]:
    if GLOBAL not in data.protocols:
        yield _unmeasured(TRAINING, "everything", "no split in time: no event is newer than all that was trained on")
        return
    part = data.folds[data.protocols[GLOBAL][0]]
    before = spreads(of_events(data, np.flatnonzero((part == TRAIN) | (part == VALID)), content))
    after = spreads(of_events(data, np.flatnonzero(part == TEST), content), before)
    for each in _apart(TRAINING, before, after, settings, settings.psi):
        state: State = "warning" if each.state == "stop" else each.state
        yield Change(each.against, each.what, each.figure, each.warn, None, state, each.text)


def _apart(
    against: str, before: Mapping[str, Spread], now: Mapping[str, Spread], settings: Drift, limits: Limits
) -> Iterator[Change]:
    """PSI of every spread that both have, and KS of numbers (of whole snapshots and of training)."""
    few = [name for name, other in now.items() if min(before[name].total, other.total) < settings.least]
    if few:
        why = f"fewer than evaluate.drift.least = {settings.least:,} values: {', '.join(few)}"
        yield _unmeasured(against, f"{len(few)} distributions", why)
    for name in (name for name in now if name not in few):
        reference, other = before[name], now[name]
        content = name.startswith(CONTENT)
        figure, chance = psi(reference, other)
        bounds = settings.content if content and against != ARRIVALS else limits
        yield _bounded(against, name, figure, bounds, f"PSI {figure:.3f} of {other.total:,} values", chance)
        numbers = bool(reference.marks) and not isinstance(reference.marks[0], str)
        if numbers and not content and against != ARRIVALS:
            figure, chance = ks(reference, other)
            yield _bounded(against, f"{name} (KS)", figure, settings.ks, f"KS distance {figure:.3f}", chance)


def _share(what: str, count: int, of: int, limits: Limits) -> Change:
    return _bounded(SNAPSHOT, what, count / max(of, 1), limits, f"{count:,} of {of:,} ({count / max(of, 1):.1%})")


def _bounded(
    against: str, what: str, figure: float, limits: Limits, text: str, chance: float = 0.0
) -> Change:  # fmt: skip
    """A figure against its bounds; within what chance alone may give it is steady."""
    state: State = "steady"
    if figure > max(limits.warn, chance):
        state = "warning" if limits.stop is None or figure <= limits.stop else "stop"
    return Change(against, what, round(figure, 6), limits.warn, limits.stop, state, text)


def _unmeasured(against: str, what: str, why: str) -> Change:
    return Change(against, what, None, None, None, "not measured", f"not measured: {why}")
