"""Arrays of a bundle, checked before compiled code reads them: headers, shapes, and ranges of indices.

scipy and usearch trust what they are given: an index beyond the last item reads foreign memory and ends the process.
A bundle whose hashes are right may still hold one, if it was written by a faulty program or sealed by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.bundle.format import BundleError
from nightreel.data.contract.tables import EVENTS
from nightreel.data.contract.verdicts import UNKNOWN
from nightreel.models.mapped_arrays import map_array

Array = npt.NDArray[Any]
READ = (
    "engine",
    "exploration",
    "histories",
    "negatives",
    "seen",
    "lists",
    "neighbours",
    "newcomers",
    "popular",
    "ratings",
    "vectors.changed",
    "vectors.npy",
)
"""Folders and files whose arrays a reader opens; a rehearsal's are for the nights alone."""
SPARSE = ("engine", "newcomers")
"""Folders with sparse rows: indptr, indices, data."""
ROWS_OF_USERS = ("histories", "negatives", "seen")
KINDS = {
    "indptr": "<i8", "rows": "<i8", "times": "<f8", "first": "<f8", "edges": "<f8", "decay": "<f8", "scores": "<f4",
    "codes": "<i2", "exponents": "<i2", "clock": "|b1", "data": "<f4", "scale": "<f8", "verdicts": "|i1",
    "gains": "<f4",
}  # fmt: skip
"""The type of arrays that have one name everywhere."""
SMALL = ("shape", "window", "asked")
"""Arrays of few numbers that size what a request allocates, if they have this name and one dimension."""
LARGEST = 1e6
STEPS = (-200, 200)  # powers of two of a row's step: others are no weights
THREADS = 2  # most of the time is one file's, the vectors'


@dataclass(frozen=True)
class Sizes:
    """Items and users of a bundle."""

    items: int
    users: int


def check_arrays(folder: Path, files: Mapping[str, Mapping[str, Any]], sizes: Sizes) -> None:
    """Check every array that a reader opens.

    Args:
        folder: The bundle's folder.
        files: The manifest's entries by name.
        sizes: Of the bundle's tables.

    Raises:
        BundleError: A file is no plain array, differs from the manifest, or holds what is out of range; the message
            names it.
    """
    names = [name for name in files if name.endswith(".npy") and name.partition("/")[0] in READ]
    arrays = {name: opened(folder / name, files[name]) for name in names}
    with ThreadPoolExecutor(THREADS) as pool:
        faults = pool.map(lambda name: _fault(name, arrays[name], arrays, sizes), arrays)
        for name, fault in zip(arrays, faults, strict=True):
            if fault:
                raise BundleError(f"{folder / name}: {fault}. Use another version, or publish it again.")


def opened(path: Path, entry: Mapping[str, Any]) -> Array:
    """Map an array; raises BundleError if the file is no plain array, or not the one of the manifest's entry."""
    try:
        array = map_array(path)
    except Exception as error:  # a header is parsed as Python's literals, which raises all kinds
        raise BundleError(f"{path}: is no plain array ({_first_line(error)}). Use another version.") from None
    told = entry.get("dtype", array.dtype.str), list(entry.get("shape", array.shape))
    if told != (array.dtype.str, list(array.shape)):
        raise BundleError(
            f"{path}: is {array.dtype.str} {list(array.shape)}, but the manifest says {told[0]} {told[1]}. Use another "
            "version."
        )
    return array


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _fault(name: str, array: Array, arrays: Mapping[str, Array], sizes: Sizes) -> str | None:
    """What is wrong with an array; None if nothing is."""
    room, _, last = name.rpartition("/")
    stem = last.removesuffix(".npy").rpartition(".")[2] if room == "engine/statistics" else last.removesuffix(".npy")
    if stem in KINDS and array.dtype.str != KINDS[stem]:
        return f"has the type {array.dtype.str} instead of {KINDS[stem]}"
    if wrong := _wrong_shape(room or last, stem, array, sizes):
        return wrong
    if stem == "indptr":
        return _unsound_rows(array, arrays.get(f"{room}/{'indices' if room.startswith(SPARSE) else 'items'}.npy"))
    if room in ROWS_OF_USERS and (uneven := _uneven(array, arrays.get(f"{room}/items.npy"))):
        return uneven
    if bounds := _bounds(room, stem, sizes):
        return _outside(array, *bounds)
    if room == "lists" and stem == "scores":  # -inf beyond a list's end
        return "holds a score that is no number" if np.isnan(array.sum(dtype=np.float32)) else None
    if stem == "gains" and not (array.size == 0 or (array.min() >= 0 and array.max() <= 1)):  # false for NaN, too
        return f"holds {array.min()} to {array.max()}; a gain is from 0 to 1"
    if stem == "decay" and not array[0] > 0:
        return f"holds {array[0]}; a decay is above 0"
    if array.dtype.kind == "f" and stem not in ("first", "edges"):
        return _not_finite(array)
    if stem in ("edges", "first") and np.isnan(array).any():
        return "holds a time that is no number"
    if stem in SMALL and array.ndim == 1 and array.size and float(np.abs(array).max()) > LARGEST:
        return f"holds {np.abs(array).max()}, which is beyond {LARGEST:g}"
    return None


def _bounds(room: str, stem: str, sizes: Sizes) -> tuple[int, int] | None:
    """Lowest and highest permitted value of whole numbers; None if there are none."""
    if stem == "exponents":
        return STEPS
    if stem == "verdicts":
        return UNKNOWN, len(EVENTS)
    if stem == "rows" or (stem == "indices" and room.startswith(SPARSE)):
        return 0, sizes.items - 1
    if stem == "items" and not room.startswith("engine/"):
        return (-1 if room in ("lists", "popular") else 0), sizes.items - 1
    return None


def _outside(array: Array, low: int, high: int) -> str | None:
    if array.dtype.kind not in "iu":
        return f"has the type {array.dtype.str} where whole numbers are meant"
    if not array.size:
        return None
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        return f"holds {least if least < low else most}, but only {low} to {high} can stand there"
    return None


def _not_finite(array: Array) -> str | None:
    """Sums squares: a third of the time of looking at each number, and whatever is not finite spreads."""
    flat = array.reshape(-1)
    if flat.dtype.itemsize >= 4 and np.isfinite(np.vdot(flat, flat)):
        return None
    return None if np.isfinite(flat).all() else "holds a number that is not finite"


def _unsound_rows(indptr: Array, entries: Array | None) -> str | None:
    if entries is None:
        return "has no entries beside it"
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != len(entries) or (np.diff(indptr) < 0).any():
        return f"does not divide the {len(entries)} entries beside it into rows"
    return None


def _uneven(array: Array, items: Array | None) -> str | None:
    """One entry for each event: nothing else divides times and likes into rows."""
    return None if items is None or len(array) == len(items) else f"has {len(array)} entries for {len(items)} events"


def _wrong_shape(room: str, stem: str, array: Array, sizes: Sizes) -> str | None:
    """Compare with the shape that an array of this name has; -1 for any length."""
    n, users = sizes.items, sizes.users
    shapes: dict[str, tuple[int, ...]] = {
        "indices": (-1,), "codes": (-1,), "data": (-1,), "exponents": (n,), "rows": (-1,), "times": (-1,),
        "first": (n,), "decay": (1,), "clock": (1,), "edges": (-1,), "table": (-1, n), "parts": (n, -1),
        "told": (n, -1), "item_bias": (n,), "item_factors": (n, -1), "user_bias": (users + 1,),
        "user_factors": (users + 1, -1), "scale": (5,),
    }  # fmt: skip
    if room in ROWS_OF_USERS:
        shapes |= {"indptr": (users + 1,), "items": (-1,), "verdicts": (-1,), "gains": (-1,)}
    elif room.startswith("engine/"):
        shapes |= {"items": (n, -1)}
        if room != "engine/user_knn":
            shapes["indptr"] = (n + 1,)
    else:
        rows = {"lists": users + 1, "neighbours": n, "popular": -1}.get(room, -1)
        shapes |= {"items": (rows, -1), "scores": (rows, -1), "events": (rows, -1), "vectors": (n, -1)}
    wanted = shapes.get(stem)
    if wanted is None:
        return None
    fits = len(wanted) == array.ndim and all(a in (-1, b) for a, b in zip(wanted, array.shape, strict=True))
    shown = ", ".join("any" if length < 0 else str(length) for length in wanted)
    return None if fits else f"has the shape {list(array.shape)} instead of [{shown}]"
