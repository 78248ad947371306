"""What is known of users and moments beside their events, as columns of labels.

Of users: the columns of the source's table `users`. Of events: device, region, hour and weekday (UTC). A label that few
users have could point to one of them, so it counts as not given and stands in no version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from nightreel.data.contract.editorial_rules import comparable, general_languages
from nightreel.data.contract.gains import RELEVANT
from nightreel.data.contract.tables import USERS
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, IntArray

OF_USERS = ("country", "age_band", "languages", "plan", "labels")
OF_EVENTS = ("device", "region")
OF_TIMES = ("hour", "weekday")
NAMES = (*OF_USERS, *OF_EVENTS, *OF_TIMES)
"""Columns that every version takes, whether it uses them or not."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOUR, DAYS_TO_MONDAY = 3600.0, 3  # 1970-01-01 was a Thursday
LEAST_USERS = 20
"""A label that fewer users have counts as not given (k-anonymity)."""
MOST_VALUES = 200  # labels of a column, the most frequent ones
LEAST_ITEMS = 10  # items of a genre that may be chosen as a label: fewer are no interest

Labels = Sequence[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class ContextColumn:
    """The labels of one column.

    Attributes:
        values: Labels in comparable form.
        indptr: [owners + 1] bounds of each owner's labels in `codes`; owners are rows of the table `users`, or events.
        codes: Numbers in `values`.
        owners: [events] owner of each event; -1 where nothing is known.
    """

    values: tuple[str, ...]
    indptr: IntArray
    codes: IntArray
    owners: IntArray

    def of_owner(self, owner: int) -> list[int]:
        """Numbers of an owner's labels."""
        found: list[int] = self.codes[self.indptr[owner] : self.indptr[owner + 1]].tolist()
        return found

    def of_events(self, events: IntArray) -> sp.csr_array:
        """[len(events), values] 1 where an event has a label."""
        owners = self.owners[events]
        known = owners >= 0
        lengths = np.where(known, self.indptr[owners + 1] - self.indptr[owners], 0)
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        begins = np.where(known, self.indptr[owners], 0)
        at = np.repeat(begins - indptr[:-1], lengths) + np.arange(indptr[-1])
        shape = (len(events), len(self.values))
        return sp.csr_array((np.ones(len(at)), self.codes[at], indptr), shape=shape)


@dataclass(frozen=True, eq=False)
class ContextLog:
    """Positive events with their context.

    Attributes:
        users: [events] user of each event.
        items: [events] its item.
        times: [events] its time, epoch seconds.
        weights: [events] its gain, less for accounts with unusually many events.
        relevant: [events] whether its user took to the item, so that a list is meant to bring it.
        columns: By name.
        carriers: Label in comparable form → items that have it as a genre or tag.
        n_items: Number of items.
    """

    users: IntArray
    items: IntArray
    times: FloatArray
    weights: FloatArray
    relevant: npt.NDArray[np.bool_]
    columns: Mapping[str, ContextColumn]
    carriers: Mapping[str, IntArray]
    n_items: int

    @classmethod
    def of(cls, data: Dataset, fold: str | None, parts: tuple[str, ...] = ()) -> ContextLog:
        """Read from a data set with the named columns of users, see `dataset.with_profiles`.

        Without a clock, and without a table of users or a column of events that tells more, there are no columns.
        """
        rows, known = data.positive_rows(fold, parts), data.positives(fold, parts)
        weights = known.counted
        columns = _columns(data, rows, known) if data.clock == "time" else {}
        return cls(
            users=known.rows,
            items=known.items.astype(np.int64),
            times=known.times,
            weights=np.ones(len(rows)) if weights is None else weights,
            relevant=np.ones(len(rows), bool) if known.gains is None else known.gains >= RELEVANT,
            columns=columns,
            carriers=carriers(data.items) if "labels" in columns else {},
            n_items=data.n_items,
        )


def comparable_labels(column: str, values: Iterable[str]) -> tuple[str, ...]:
    """Labels of a column in the form in which they are compared.

    Example:
        >>> comparable_labels("languages", ["pt_BR"]), comparable_labels("hour", ["08"])
        (('pt-br', 'pt'), ('8',))
    """
    given = [value for value in values if value.strip()]
    if column == "languages":
        return tuple(dict.fromkeys(form for value in given for form in general_languages(value)))
    if column == "hour":
        given = [str(int(value)) if value.strip().isdigit() else value for value in given]
    return tuple(dict.fromkeys(map(comparable, given)))


def carriers(items: pa.Table) -> dict[str, IntArray]:
    """Items by genre or tag, in comparable form."""
    found: dict[str, dict[int, None]] = {}
    for name in ("genres", "tags"):
        cells = items[name].to_pylist() if name in items.column_names else []
        for item, labels in enumerate(cells):
            for label in labels or ():
                found.setdefault(comparable(label), {})[item] = None
    return {label: np.array(sorted(own), np.int64) for label, own in found.items()}


def _columns(data: Dataset, rows: IntArray, known: Histories) -> dict[str, ContextColumn]:
    columns = {}
    if data.profiles is not None:
        own, people = data.profile_rows[known.rows], np.arange(data.profiles.num_rows)
        extra = [name for name in data.profiles.column_names if name not in USERS.names]
        for name in (*OF_USERS, *extra):
            genres = _genres(data.items) if name == "labels" else ()
            columns[name] = _column(name, data.profiles[name], people, own, genres)
    events, people = np.arange(len(rows)), known.rows
    for name in OF_EVENTS:
        if name in data.events.column_names:
            columns[name] = _column(name, data.events[name].take(pa.array(rows)), people, events)
    if not columns:  # what the hour alone tells of a newcomer does not pay for the time that it takes
        return {}
    hours = np.floor(known.times / HOUR).astype(np.int64)
    days = (hours // 24 + DAYS_TO_MONDAY) % 7
    columns["hour"] = _column("hour", pa.chunked_array([pa.array(hours % 24).cast(pa.string())]), people, events)
    named = pa.array(WEEKDAYS).take(pa.array(days))
    columns["weekday"] = _column("weekday", pa.chunked_array([named]), people, events)
    return {name: column for name, column in columns.items() if len(column.codes)}


def _genres(items: pa.Table) -> tuple[str, ...]:
    """Genres that a user may choose as a label although no user of the log has: an item's genre says what it means."""
    counts = Counter(
        label for row in items["genres"].to_pylist() for label in dict.fromkeys(map(comparable, row or ()))
    )
    return tuple(sorted(label for label, count in counts.items() if count >= LEAST_ITEMS))


def _column(
    name: str, cells: pa.ChunkedArray, people: IntArray, owners: IntArray, more: Sequence[str] = ()
) -> ContextColumn:
    """A column of labels. people: [cells] the user of each, by whom labels are counted; more: further values."""
    owner, form, forms = _labels(name, cells)
    most = int(people.max(initial=0)) + 1
    by_users = np.bincount(_distinct(form * most + people[owner]) // most, minlength=len(forms))
    counts = np.bincount(form, minlength=len(forms))
    kept = [code for code in range(len(forms)) if by_users[code] >= LEAST_USERS]
    kept = sorted(kept, key=lambda code: (-counts[code], forms[code]))[:MOST_VALUES]
    number = np.full(len(forms) + 1, -1, np.int64)
    number[kept] = np.arange(len(kept))
    codes = number[form]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner[codes >= 0], minlength=len(cells)))]).astype(np.int64)
    values = tuple(forms[code] for code in kept)
    return ContextColumn(
        (*values, *(label for label in more if label not in values)), indptr, codes[codes >= 0], owners
    )


def _labels(name: str, cells: pa.ChunkedArray) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """(cell of each label, ascending; its number; labels in comparable form), each label of a cell once."""
    flat = cells.combine_chunks()
    if pa.types.is_list(flat.type):
        owner, raw = pc.list_parent_indices(flat).to_numpy(), flat.flatten()
    else:
        owner, raw = np.arange(len(flat)), flat
    given = raw.is_valid().to_numpy(zero_copy_only=False)
    coded = raw.filter(raw.is_valid()).dictionary_encode()  # each distinct text once: events are many
    forms_of = [comparable_labels(name, [str(cell)]) for cell in coded.dictionary.to_pylist()]
    forms = tuple(sorted({form for own in forms_of for form in own}))
    place = {form: code for code, form in enumerate(forms)}
    lengths = np.array([len(own) for own in forms_of], np.int64)
    every = np.array([place[form] for own in forms_of for form in own], np.int64)
    code = coded.indices.to_numpy().astype(np.int64)
    begins, count = (np.cumsum(lengths) - lengths)[code], lengths[code]
    at = np.repeat(begins - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    pairs = _distinct(np.repeat(owner[given].astype(np.int64), count) * max(len(forms), 1) + every[at])
    own, form = np.divmod(pairs, max(len(forms), 1))
    return own, form, forms


def _distinct(numbers: IntArray) -> IntArray:
    """The distinct numbers, ascending. Sorting takes a hundredth of the time of numpy's hash table in `unique`."""
    ordered = np.sort(numbers)
    return ordered[np.concatenate([[True], np.diff(ordered) != 0])] if len(ordered) else ordered
