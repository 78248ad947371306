"""A bundle's users: ids, positive events, and seen items."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.bundle.format import BundleError
from nightreel.data.histories import Histories, IntArray
from nightreel.data.privacy import KEY_VARIABLE, key_fingerprint, load_key, pseudonym
from nightreel.errors import UserError
from nightreel.models.mapped_arrays import map_array
from nightreel.stage import state_directory

FILE = "users.parquet"
FEW = 100  # number of users up to which bisection is faster than a hash table


@dataclass(frozen=True, eq=False)
class UserTable:
    """Users in index order.

    Attributes:
        ids: [n] user ids, ascending; pseudonyms if key_fingerprint is set.
        histories: n + 1 rows of positive events, with negative ones beside them; the last, empty row is for all unknown
            users.
        seen: n + 1 rows of seen items, likewise.
        key_fingerprint: Fingerprint of the pseudonym key; None for plain ids.
        erased: Rows of erased users, who are treated as unknown.
    """

    ids: pa.Array
    histories: Histories
    seen: Histories
    key_fingerprint: str | None
    erased: frozenset[int] = frozenset()

    @classmethod
    def read(cls, folder: Path, fingerprint: str | None) -> UserTable:
        """Read from a bundle's folder, memory-mapped; raises FileNotFoundError, or BundleError for unsorted ids."""
        path = folder / FILE
        ids = pq.ParquetFile(path).read(columns=["user_id"])["user_id"].cast(pa.string()).combine_chunks()
        if pc.any(pc.greater_equal(ids.slice(0, max(len(ids) - 1, 0)), ids.slice(1))).as_py():
            raise BundleError(f"{path}: user ids are not in ascending order. Use another version.")
        negatives = histories_in(folder / "negatives") if (folder / "negatives").is_dir() else None
        return cls(ids, histories_in(folder / "histories", negatives), histories_in(folder / "seen"), fingerprint)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, user_ids: Sequence[str]) -> IntArray:
        """[n] row of each user id; len(self) for unknown users.

        Raises:
            UserError: Ids are pseudonyms and their key is missing or another one.
        """
        names = self.names(user_ids)
        if len(names) > FEW:
            found = pc.index_in(pa.array(names, pa.string()), value_set=self.ids).fill_null(len(self)).to_pylist()
        else:
            found = [self._row(name) for name in names]
        if self.erased:
            found = [len(self) if row in self.erased else row for row in found]
        return np.asarray(found, np.int64)

    def names(self, user_ids: Sequence[str]) -> list[str]:
        """[n] user ids as the bundle has them: pseudonyms, if its ids are; raises UserError as `rows` does."""
        return [pseudonym(self._key, user) for user in user_ids] if self.key_fingerprint else list(user_ids)

    def without(self, names: Collection[str]) -> UserTable:
        """The same table, in which the users with these names (as in `ids`) are unknown."""
        rows = (self._row(name) for name in names)
        return replace(self, erased=frozenset(row for row in rows if row < len(self)))

    @cached_property
    def known(self) -> pa.Array:
        """Ids of all users who are not erased, ascending."""
        if not self.erased:
            return self.ids
        return self.ids.filter(pa.array(~self._gone[:-1]))

    @cached_property
    def remembered(self) -> Histories:
        """`histories`, with the rows of erased users empty."""
        if not self.erased:
            return self.histories
        known = np.where(self._gone, -np.inf, np.nan)  # of those who are gone, nothing negative either
        return self.histories.where(~self._gone[self.histories.rows]).negatives_before(known)

    @cached_property
    def _gone(self) -> npt.NDArray[np.bool_]:
        """[n + 1] whether a row is an erased user's."""
        gone = np.zeros(len(self) + 1, bool)
        gone[list(self.erased)] = True
        return gone

    def _row(self, name: str) -> int:
        """Find a user by bisection: this builds no table of all users, and avoids pyarrow's conversions, which import
        pandas if it is installed (0.3 s)."""
        at = bisect_left(self.ids, name, key=lambda cell: cell.as_py())
        return at if at < len(self) and self.ids[at].as_py() == name else len(self)

    @cached_property
    def _key(self) -> bytes:
        assert self.key_fingerprint is not None
        return key_for(self.key_fingerprint)


def key_for(fingerprint: str) -> bytes:
    """The key of a version's pseudonyms; raises UserError if it is missing or another one."""
    kept = state_directory() / "pseudonym.key"
    key = load_key(kept.parent, create=False)
    if key is None:
        raise UserError(
            f"This version stores users under pseudonyms, and the key is missing. Set {KEY_VARIABLE} to the key of the "
            f"run that published it, or copy its pseudonym.key to {kept}."
        )
    if key_fingerprint(key) != fingerprint:
        raise UserError(
            f"This version's pseudonyms were made with another key (fingerprint {fingerprint}, here "
            f"{key_fingerprint(key)}). Set {KEY_VARIABLE} to the key of the run that published it."
        )
    return key


def histories_in(folder: Path, beside: Histories | None = None) -> Histories:
    """Histories of a bundle's folder, memory-mapped, with a last, empty row; beside: the users' negative events."""
    indptr, items, times = (map_array(folder / f"{name}.npy") for name in ("indptr", "items", "times"))
    # Early releases did not write verdicts; gains are written where some event has less than a whole one.
    verdicts, gains = (
        map_array(folder / f"{name}.npy") if (folder / f"{name}.npy").exists() else None
        for name in ("verdicts", "gains")
    )
    return Histories(np.append(indptr, indptr[-1]), items, times, verdicts=verdicts, negatives=beside, gains=gains)
