"""The validated data set as later stages read it: indices, histories and folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data.contract.schema import (
    CLEAN_EVENTS,
    ITEMS_SCHEMA,
    PROFILES_SCHEMA,
    USERS_SCHEMA,
    present,
    read_strict,
)
from nightreel.data.contract.verdicts import Codes, Verdicts
from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.data.splits import PARTS, Fold
from nightreel.errors import UserError
from nightreel.stage import read_json

Mask = npt.NDArray[np.bool_]
Ratings = tuple[ItemArray, ItemArray, npt.NDArray[np.float32], FloatArray]


@dataclass(frozen=True)
class Dataset:
    """Clean items, users and events. Item index = row of `items`; user index = position in `user_ids`.

    items: in the order of their ids; user_ids: in the order of their first events;
    events: the clean events table (schema.CLEAN_EVENTS), sorted by user, time and source order;
    folds: part of each event (splits.TRAIN, VALID, TEST, UNUSED) by fold name, int8 [events];
    data_until: where several users' events end (see log_end.data_end), epoch seconds; without a clock the last
    position;
    profiles: the table `users` of the source (schema.PROFILES_SCHEMA); None if the source has none. Not all users have
    a row, and users without events have one.
    """

    items: pa.Table
    user_ids: list[str]
    events: pa.Table
    folds: dict[str, Fold]
    clock: str
    exclude_seen: bool
    gate: str
    data_until: float
    protocols: dict[str, list[str]]
    split_digest: dict[str, str]
    profiles: pa.Table | None = None

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return int(self.items.num_rows)

    @cached_property
    def users_by_id(self) -> IntArray:
        """[users] user indices in ascending order of the ids: the order in which a bundle has its users."""
        return np.array(sorted(range(self.n_users), key=self.user_ids.__getitem__), np.int64)

    @cached_property
    def bundle_rows(self) -> IntArray:
        """[users] row of each user in a bundle."""
        return np.argsort(self.users_by_id)

    @cached_property
    def profile_rows(self) -> IntArray:
        """[users] row of each user in `profiles`; -1 for users without one."""
        if self.profiles is None:
            return np.full(self.n_users, -1, np.int64)
        found = pc.index_in(pa.array(self.user_ids, pa.string()), self.profiles["user_id"].combine_chunks())
        rows: IntArray = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return rows

    @property
    def item_ids(self) -> list[str]:
        """Ids in index order."""
        ids: list[str] = self.items["item_id"].to_pylist()
        return ids

    def positives(self, fold: str | None, parts: tuple[str, ...] = ()) -> Histories:
        """Histories of positive events in some parts of a fold, one row per user, with the events' ratings, and with
        negative events if the log has any; all parts if fold is None."""
        mask = self._flag("positive") & self.within(fold, parts)
        value = np.where(self._rated()[mask], self._column("value")[mask], np.nan).astype(np.float64)
        negatives = self.negatives(fold, parts) if self._flag("negative").any() else None
        gains = self._column("gain")[mask] if self._graded else None
        return replace(self._gathered(mask), values=value, negatives=negatives, gains=gains)

    def positive_rows(self, fold: str | None, parts: tuple[str, ...] = ()) -> IntArray:
        """[nnz of `positives`] the row in `events` of each positive event."""
        return np.flatnonzero(self._flag("positive") & self.within(fold, parts))

    def verdicts(self, fold: str | None, parts: tuple[str, ...] = ()) -> Codes:
        """[nnz of `positives`] how the user liked the item, as far as these parts tell; see contract.verdicts."""
        within = self.within(fold, parts)
        own: Codes = self._said.liked(within)[self._flag("positive") & within]
        return own

    def trained_everywhere(self) -> Histories:
        """Histories of the positives that are train in every fold: training on them uses no test event."""
        common = np.all([part == PARTS["train"] for part in self.folds.values()], axis=0)
        return self._gathered(self._flag("positive") & common)

    def negatives(self, fold: str | None, parts: tuple[str, ...] = ()) -> Histories:
        """Histories of negative events with their verdicts; what the user liked later is no dislike any more."""
        within = self.within(fold, parts)
        mask = self._flag("negative") & within
        return replace(self._gathered(mask), verdicts=self._said.turned_down(within)[mask])

    def seen(self, fold: str | None, parts: tuple[str, ...] = ()) -> Histories:
        """Histories of events after which an item counts as seen."""
        return self._histories(self._flag("seen"), fold, parts)

    def ratings(self, fold: str | None, parts: tuple[str, ...] = ()) -> Ratings:
        """(user, item, value, time) of rating events with a value, in event order."""
        user, item, value, time = (self._column(name) for name in ("user", "item", "value", "time"))
        at = np.flatnonzero(self._rated() & ~np.isnan(value) & self.within(fold, parts))
        return user[at], item[at], value[at], time[at]

    @property
    def _graded(self) -> bool:
        """Whether some positive event says less than fully that its user took to the item."""
        return bool((self._column("gain")[self._flag("positive")] < 1.0).any())

    @cached_property
    def _said(self) -> Verdicts:
        return Verdicts.of(self.events, self.n_items)

    def _rated(self) -> Mask:
        rated: Mask = pc.equal(self.events["event"].cast(pa.string()), "rating").to_numpy()
        return rated

    def _column(self, name: str) -> Any:
        return self.events[name].to_numpy()

    def _flag(self, name: str) -> Mask:
        flags: Mask = self._column(name) & (self._column("item") >= 0)
        return flags

    def within(self, fold: str | None, parts: tuple[str, ...]) -> Mask:
        """[events] which are in some parts of a fold; all if fold is None. Raises KeyError for an unknown fold."""
        if fold is None:
            return np.ones(self.events.num_rows, bool)
        if fold not in self.folds:
            raise KeyError(f"fold `{fold}` does not exist; choose one of {sorted(self.folds)}")
        return np.isin(self.folds[fold], [PARTS[part] for part in parts])

    def _histories(self, mask: Mask, fold: str | None, parts: tuple[str, ...]) -> Histories:
        return self._gathered(mask & self.within(fold, parts))

    def _gathered(self, mask: Mask) -> Histories:
        at = np.flatnonzero(mask)
        counts = np.bincount(self._column("user")[at], minlength=self.n_users)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Histories(indptr, self._column("item")[at], self._column("time")[at])


def load_dataset(folder: Path = Path("data/validate")) -> Dataset:
    """Load the output of validate; raises UserError naming the file and column that violate the schema."""
    facts, profiles = read_json(present(folder / "splits.json")), folder / "profiles.parquet"
    items = read_strict(folder / "items.parquet", ITEMS_SCHEMA)
    users = read_strict(folder / "users.parquet", USERS_SCHEMA)
    events = read_strict(folder / "events.parquet", CLEAN_EVENTS, optional=True).combine_chunks()
    protocols = {name: list(protocol["folds"]) for name, protocol in facts["protocols"].items()}
    names = [fold for folds in protocols.values() for fold in folds]
    splits = read_strict(folder / "splits.parquet", pa.schema([(name, pa.int8()) for name in names]))
    if splits.num_rows != events.num_rows:
        raise UserError(
            f"{folder / 'splits.parquet'}: {splits.num_rows:,} rows for {events.num_rows:,} events. "
            f"Delete {folder} and run validate again."
        )
    return Dataset(
        items=items,
        user_ids=users["user_id"].to_pylist(),
        events=events,
        folds={name: splits[name].to_numpy() for name in names},
        clock=facts["clock"],
        exclude_seen=facts["exclude_seen"],
        gate=facts["gate"],
        data_until=facts["data_until"],
        protocols=protocols,
        split_digest={name: protocol["digest"] for name, protocol in facts["protocols"].items()},
        profiles=read_strict(profiles, PROFILES_SCHEMA) if profiles.exists() else None,
    )


def with_profiles(data: Dataset, folder: Path = Path("data/named")) -> Dataset:
    """The data with the additional columns of the table `users` that `evaluate.slices` names."""
    return data if data.profiles is None else replace(data, profiles=_widened(data.profiles, folder, "users"))


def with_named(data: Dataset, folder: Path = Path("data/named")) -> Dataset:
    """The data with the additional columns that `evaluate.slices` names, as text."""
    items, events = _widened(data.items, folder, "items"), _widened(data.events, folder, "events")
    return replace(with_profiles(data, folder), items=items, events=events)


def _widened(table: pa.Table, folder: Path, name: str) -> pa.Table:
    columns = pq.read_table(present(folder / f"{name}.parquet"), memory_map=False, partitioning=None)
    for column in columns.column_names:
        table = table.append_column(column, columns[column])
    return table
