"""What a bundle knows of users without events: popularity in the selected segments, and who is in which.

    newcomers/segments.json  {"columns": [[name, [label, …]], …], "names": columns that a request may name}
    newcomers/indptr.npy, indices.npy, data.npy
                             sparse rows, one a label: item and logarithm of its ratio, see models.newcomers.segments
    newcomers/users.parquet  user_id, ascending, and segments: rows of the user's labels

Only users without positive events have a row, and only with labels of the selected columns that LEAST_USERS users have;
nothing else of the table `users` is in a bundle.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from nightreel.bundle.format import BundleError
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.models.mapped_arrays import map_array
from nightreel.models.newcomers.context import NAMES, ContextLog
from nightreel.models.newcomers.segments import Segments

FOLDER, FILE, USERS = "newcomers", "segments.json", "users.parquet"
SCHEMA = pa.schema([pa.field("user_id", pa.string()), pa.field("segments", pa.list_(pa.int32()))])
Rows = Mapping[str, Sequence[int]]
"""Rows of labels by column."""


class Description(BaseModel):
    """The file segments.json."""

    model_config = ConfigDict(strict=True, extra="ignore")

    columns: list[tuple[str, list[str]]]
    names: list[str]


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Segments, and the users without events whose labels are known.

    Attributes:
        segments: Popularity by label.
        names: Columns that a request may name; those without segments change nothing.
        ids: User ids, ascending; pseudonyms if the bundle's users are.
        labels: Rows of each one's labels.
        erased: Ids of users who count as unknown.
    """

    segments: Segments
    names: tuple[str, ...]
    ids: pa.Array
    labels: pa.Array
    erased: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path, n_items: int) -> Self | None:
        """Read from a bundle's folder, memory-mapped; None if it has none.

        Raises:
            BundleError: A file is not as `write` left it.
        """
        root = folder / FOLDER
        if not root.is_dir():
            return None
        path = root / FILE
        try:
            content = Description.model_validate_json(path.read_text("utf-8"))
            arrays = {name: map_array(root / f"{name}.npy") for name in ("indptr", "indices", "data")}
            segments = Segments.load(content.columns, arrays, n_items)
            users = pq.ParquetFile(root / USERS).read().cast(SCHEMA).combine_chunks()
        except (ValueError, TypeError, LookupError, OverflowError, pa.ArrowException) as error:
            told = " ".join(str(error).split())
            raise BundleError(f"{path}: does not describe the files beside it ({told}). Use another version.") from None
        labels, ids = users["segments"].combine_chunks(), users["user_id"].combine_chunks()
        if ids.null_count or pc.any(pc.greater_equal(ids.slice(0, max(len(ids) - 1, 0)), ids.slice(1))).as_py():
            raise BundleError(f"{root / USERS}: user ids are not in ascending order. Use another version.")
        found = labels.flatten().to_numpy(zero_copy_only=False)
        if (
            labels.null_count
            or np.isnan(found).any()
            or (len(found) and not 0 <= found.min() <= found.max() < segments.lifts.shape[0])
        ):
            raise BundleError(f"{root / USERS}: names a segment that {FILE} has not. Use another version.")
        return cls(segments, tuple(dict.fromkeys((*NAMES, *content.names))), ids, labels)

    def without(self, ids: Collection[str]) -> Self:
        """The same, in which users with these ids are unknown."""
        return replace(self, erased=frozenset(ids))

    def of_user(self, name: str) -> dict[str, tuple[int, ...]]:
        """Rows of a user's labels by column; none if nothing is known. name: as in `ids`."""
        at = bisect_left(self.ids, name, key=lambda cell: cell.as_py())
        if name in self.erased or at >= len(self.ids) or self.ids[at].as_py() != name:
            return {}
        return self.segments.by_column(self.labels[at].as_py())

    def scores(self, popularity: npt.NDArray[np.float32], rows: Rows) -> npt.NDArray[np.float32]:
        """[n_items] scores for the labels of these rows. popularity: [n_items] of the moment."""
        return self.segments.score(popularity, rows)


def write(folder: Path, data: Dataset, segments: Segments, known: Histories, log: ContextLog) -> None:
    """Write newcomers/ of a bundle.

    Args:
        folder: The bundle's folder.
        data: The data set, with the named columns of users.
        segments: Fitted on the bundle's events.
        known: Its positive events, one row per user.
        log: The same with their context.
    """
    root = folder / FOLDER
    root.mkdir()
    for name, array in segments.arrays().items():
        np.save(root / f"{name}.npy", array, allow_pickle=False)
    names = [*NAMES, *(name for name in log.columns if name not in NAMES)]
    content = {"columns": [[name, list(values)] for name, values in segments.columns], "names": names}
    (root / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", "utf-8")
    ids, rows = _without_events(data, segments, known, log)
    pq.write_table(
        pa.table([pa.array(ids, pa.string()), pa.array(rows, SCHEMA.field(1).type)], schema=SCHEMA), root / USERS
    )


def _without_events(
    data: Dataset, segments: Segments, known: Histories, log: ContextLog
) -> tuple[list[str], list[list[int]]]:
    """(ids, rows of labels) of the users in the table `users` who have no positive event, and a label that counts."""
    if data.profiles is None:
        return [], []
    busy = {data.user_ids[user] for user in np.flatnonzero(known.lengths > 0).tolist()}
    own = {name: log.columns[name] for name, _ in segments.columns if name in data.profiles.column_names}
    found: dict[str, list[int]] = {}
    for owner, user in enumerate(data.profiles["user_id"].to_pylist()):
        if user in busy:
            continue
        labels = [(name, column.values[code]) for name, column in own.items() for code in column.of_owner(owner)]
        rows = [row for label in labels if (row := segments.number_of(*label)) is not None]
        if rows:
            found[user] = rows
    ids = sorted(found)
    return ids, [found[user] for user in ids]


def unknown_names(given: Iterable[str], known: Newcomers | None) -> list[str]:
    """Names of columns that the version doesn't take."""
    return [name for name in given if name not in (known.names if known else NAMES)]
