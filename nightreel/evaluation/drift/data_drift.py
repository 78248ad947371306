"""Data drift: tonight's snapshot against the last good one (the profile in the champion's bundle), and test events
against training events.

Only drift since the last good snapshot can stop a run. Drift since training is reported only, because test events are
always later than training events.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.data.split_protocols import GLOBAL
from nightreel.data.splits import TEST, TRAIN, VALID
from nightreel.evaluation.champion import Champion, Unreadable
from nightreel.evaluation.drift.data_profile import (
    CONTENT,
    HOUR,
    HOURS_NAME,
    Vectors,
    directions_of,
    of_events,
    of_snapshot,
    profile,
    projected,
    spreads,
)
from nightreel.evaluation.drift.drift_bounds import (
    ARRIVALS,
    LOST,
    SNAPSHOT,
    TRAINING,
    DriftFigure,
    State,
    bounded,
    distributions,
    share_of,
    unmeasured,
)
from nightreel.evaluation.drift.histogram import Histogram, effective
from nightreel.settings.drift import Drift
from nightreel.stage import write_json
from nightreel.store.backends.base import Missing, Store

PROFILE, DIRECTIONS = "profile.json", "directions.npy"
DAY = 86_400.0
SAME_ENCODER = ("encoder", "revision", "weights", "dim", "max_tokens", "pooling")


@dataclass(frozen=True)
class Known:
    """The data profile stored in a published version. embed: the encoder's card; key: fingerprint of the pseudonym
    key."""

    profile: Mapping[str, Any]
    directions: Vectors
    item_ids: frozenset[str]
    user_ids: frozenset[str]
    embed: Mapping[str, Any]
    key: str | None

    @property
    def spreads(self) -> dict[str, Histogram]:
        return {name: Histogram.from_json(value) for name, value in self.profile["spreads"].items()}


@dataclass(frozen=True)
class Profiled:
    """Tonight's profile and directions, for comparison on later nights, and the drift figures."""

    profile: dict[str, Any]
    directions: Vectors
    changes: list[DriftFigure]


def known_data(store: Store, champion: Champion | Unreadable | None, source: str) -> Known | str:
    """The champion's data profile, or why there is no comparison. source: tonight's."""
    if champion is None:
        return "no version was live before"
    if isinstance(champion, Unreadable):
        return "the champion can't be read"
    if champion.source not in (None, source):
        return f"the champion was trained on another source, {champion.source!r}"
    root = f"versions/{champion.digest}/"
    try:
        stored = json.loads(store.get(f"{root}rehearsal/{PROFILE}"))
        directions = np.load(io.BytesIO(store.get(f"{root}rehearsal/{DIRECTIONS}")), allow_pickle=False)
        users = pq.read_table(io.BytesIO(store.get(f"{root}users.parquet")), columns=["user_id"])
    except Missing:
        return "the champion's bundle has no data profile"
    config = champion.config
    return Known(
        stored,
        directions,
        frozenset(champion.item_ids),
        frozenset(users["user_id"].to_pylist()),
        config.get("embed", {}),
        config.get("key_fingerprint"),
    )


def write_drift(folder: Path, profiled: Profiled, rows_known: Mapping[str, Any]) -> None:
    """Write drift.json, and the profile that is published with the version.

    rows_known: see nightreel.data.quality.row_outcomes.remembered.
    """
    write_json(folder / "drift.json", [asdict(each) for each in profiled.changes])
    write_json(folder / PROFILE, profiled.profile | {"rows_known": rows_known})
    np.save(folder / DIRECTIONS, profiled.directions, allow_pickle=False)


def drifted(
    data: Dataset, vectors: Vectors, known: Known | str, config: Mapping[str, Any], settings: Drift
) -> Profiled:
    """Compute tonight's profile and its drift.

    Args:
        data: The validated data.
        vectors: [n_items, d] of the base encoder.
        known: The champion's profile, or why there is none.
        config: Of the candidate bundle (embed, key_fingerprint).
        settings: The bounds.
    """
    directions = directions_of(vectors)
    content = projected(vectors, directions)
    own = profile(data, content)
    training = list(_training(data, content, settings))
    if isinstance(known, str):
        return Profiled(own, directions, [unmeasured(SNAPSHOT, "everything", known), *training])
    lies = _content(known, vectors, config)
    unlike = [] if lies else [unmeasured(SNAPSHOT, CONTENT, "the encoder is another, or no item had content")]
    changes = [
        *_schema(known, own, settings),
        *_volume(known, own, settings),
        *_newcomers(known, data, config.get("key_fingerprint"), settings),
        *unlike,
        *_snapshot(known, data, lies, settings),
        *_arrived(known, data, lies, settings),
        *training,
    ]
    return Profiled(own, directions, changes)


def _snapshot(known: Known, data: Dataset, lies: Mapping[str, FloatArray], settings: Drift) -> Iterator[DriftFigure]:
    """The whole snapshot against the last good one: users and items, then events."""
    users_and_items = spreads(of_snapshot(data, lies), known.spreads)
    yield from distributions(SNAPSHOT, known.spreads, users_and_items, settings, settings.psi, np.inf)
    rows = np.arange(data.events.num_rows, dtype=np.int64)
    happened = spreads(of_events(data, rows, lies), known.spreads)
    yield from distributions(SNAPSHOT, known.spreads, happened, settings, settings.psi, _independent(data, rows))


def _independent(data: Dataset, rows: IntArray) -> float:
    """The effective number of independent values in these events, since a user's events are alike."""
    return effective(data.events["user"].to_numpy()[rows].astype(np.int64))


def _content(known: Known, vectors: Vectors, config: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Tonight's items projected on the champion's directions; empty if the encoder differs."""
    embed = config.get("embed", {})
    same = all(known.embed.get(name) == embed.get(name) for name in SAME_ENCODER)
    same = same and known.directions.shape[1] == vectors.shape[1] and bool(known.directions.any())
    return projected(vectors, known.directions) if same else {}


def _schema(known: Known, own: Mapping[str, Any], settings: Drift) -> Iterator[DriftFigure]:
    """Columns with fewer filled cells; a removed column has lost all of them."""
    for table, before in known.profile["columns"].items():
        now = own["columns"][table]
        for column, share in before.items():
            left = now.get(column, 0.0)
            gone = "" if column in now else "; the column was removed"
            text = f"{left:.1%} of cells filled, {share:.1%} before{gone}"
            yield bounded(SNAPSHOT, f"{table}.{column} filled", share - left, settings.null_rate, text)
        for column in sorted(now.keys() - before.keys()):
            yield DriftFigure(SNAPSHOT, f"{table}.{column} filled", now[column], None, None, "info", "a new column")


def _volume(known: Known, own: Mapping[str, Any], settings: Drift) -> Iterator[DriftFigure]:
    for table, before in known.profile["rows"].items():
        now = own["rows"][table]
        growth = (now - before) / max(before, 1)
        limits = settings.row_growth if growth > 0 else settings.row_loss
        what = f"rows of {table}" if growth >= 0 else f"{LOST} of {table}"
        yield bounded(SNAPSHOT, what, abs(growth), limits, f"{now:,}, {before:,} before ({growth:+.1%})")
    if known.profile["clock"] == own["clock"] == "time":
        days = (own["data_until"] - known.profile["data_until"]) / DAY
        text = f"the newest event is {abs(days):,.1f} days {'later' if days >= 0 else 'earlier'}"
        yield DriftFigure(SNAPSHOT, "freshness", days, 0.0, None, "steady" if days >= 0 else "warning", text)


def _newcomers(known: Known, data: Dataset, key: str | None, settings: Drift) -> Iterator[DriftFigure]:
    items = sum(item not in known.item_ids for item in data.item_ids)
    yield share_of("new items", items, data.n_items, settings.new_items)
    if known.key != key:
        yield unmeasured(SNAPSHOT, "new users", "the pseudonym key has changed, so every user seems new")
        return
    users = sum(user not in known.user_ids for user in data.user_ids)
    yield share_of("new users", users, data.n_users, settings.new_users)


def _arrived(known: Known, data: Dataset, lies: Mapping[str, FloatArray], settings: Drift) -> Iterator[DriftFigure]:
    """The events since the last good snapshot, against all of its events."""
    if known.profile["clock"] != "time" or data.clock != "time":
        yield unmeasured(ARRIVALS, "everything", "the data have no clock")
        return
    rows = np.flatnonzero(data.events["time"].to_numpy() > known.profile["data_until"])
    if len(rows) < settings.min_values:
        why = f"{len(rows):,} new events, fewer than the minimum for a test ({settings.min_values:,})"
        yield unmeasured(ARRIVALS, "everything", why)
        return
    own = spreads(of_events(data, rows, lies), known.spreads)
    # The hours of an incomplete day always differ from those of whole days.
    days = np.floor((data.data_until - known.profile["data_until"] + HOUR) / DAY)
    whole_days = rows[data.events["time"].to_numpy()[rows] > data.data_until - days * DAY]
    own |= spreads(of_events(data, whole_days, {}), {name: known.spreads[name] for name in own if name == HOURS_NAME})
    if days < 1 and own.pop(HOURS_NAME, None):
        yield unmeasured(ARRIVALS, HOURS_NAME, "the new events cover no whole day")
    yield from distributions(ARRIVALS, known.spreads, own, settings, settings.new_events, _independent(data, rows))


def _training(data: Dataset, content: Mapping[str, FloatArray], settings: Drift) -> Iterator[DriftFigure]:
    if GLOBAL not in data.protocols:
        yield unmeasured(TRAINING, "everything", "there is no split in time")
        return
    part = data.folds[data.protocols[GLOBAL][0]]
    before = spreads(of_events(data, np.flatnonzero((part == TRAIN) | (part == VALID)), content))
    after = spreads(of_events(data, np.flatnonzero(part == TEST), content), before)
    for each in distributions(TRAINING, before, after, settings, settings.psi, 0.0):
        state: State = "warning" if each.state == "stop" else each.state
        yield DriftFigure(each.against, each.what, each.figure, each.warn, None, state, each.text)
