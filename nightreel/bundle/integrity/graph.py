"""The graph of nearest neighbours, checked before usearch walks it: every link leads to a node of the graph.

usearch follows what stands in the file: one link beyond the last node reads foreign memory and ends the process. The
file, as usearch 2 writes it:

    rows u32, columns u32, and the vectors, i8 [rows, columns]
    head, 64 bytes             see HEAD
    size and shape, 40 bytes   see SHAPE
    levels, i16 [size]         a node is in the lists of levels 0 to its own
    nodes, one after another   key u64, level i16, then for each level: count u32, links u32 [connectivity]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.bundle.format import BundleError

Bytes = npt.NDArray[np.uint8]
MATRIX = np.dtype([("rows", "<u4"), ("columns", "<u4")])
HEAD = np.dtype(
    [
        ("magic", "S7"),
        ("version", "<u2", 3),
        ("kinds", "u1", 4),
        ("present", "<u8"),
        ("deleted", "<u8"),
        ("dimensions", "<u8"),
        ("multi", "u1"),
        ("reserved", "V22"),
    ]
)
SHAPE = np.dtype([("size", "<u8"), ("connectivity", "<u8"), ("at_level_0", "<u8"), ("top", "<u8"), ("entry", "<u8")])
KINDS = (105, 23, 14, 15)
"""Inner product, i8, keys u64, links u32: what `nightreel.models.ann_index` writes."""
KEY, LEVEL, LINK = 8, 2, 4
MOST_LINKS = 4096
"""Links that a node may have on a level; usearch's own default is 16, and 32 on level 0."""


def check_graph(path: Path, items: int, width: int) -> None:
    """Check a graph; one that is missing is none.

    Args:
        path: The file.
        items: Number of vectors.
        width: Length of a vector.

    Raises:
        BundleError: It is malformed, or not of these vectors.
    """
    if not path.exists():
        return
    # An empty file can't be mapped.
    content = np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.empty(0, np.uint8)
    if fault := _fault(content, items, width):
        raise BundleError(f"{path}: {fault}. Use another version, or publish it again.")


def _fault(content: Bytes, items: int, width: int) -> str | None:
    start = MATRIX.itemsize + items * width
    if len(content) < start + HEAD.itemsize + SHAPE.itemsize + LEVEL * items:
        return f"is too short for {items} vectors of {width} numbers"
    matrix = content[: MATRIX.itemsize].view(MATRIX)[0]
    head = content[start : start + HEAD.itemsize].view(HEAD)[0]
    start += HEAD.itemsize
    shape = content[start : start + SHAPE.itemsize].view(SHAPE)[0]
    if head["magic"] != b"usearch" or head["version"][0] != 2 or tuple(head["kinds"]) != KINDS:
        return "is no graph over 8-bit vectors as usearch 2 writes it"
    told = (matrix["rows"], head["present"], shape["size"], matrix["columns"], head["dimensions"])
    if told != (items, items, items, width, width) or head["deleted"] or head["multi"]:
        return f"is not of {items} vectors of {width} numbers"
    if max(shape["connectivity"], shape["at_level_0"]) > MOST_LINKS:
        return f"has nodes with more than {MOST_LINKS} links"
    start += SHAPE.itemsize
    levels = content[start : start + LEVEL * items].view("<i2")
    return _unsound(content, start + LEVEL * items, levels, shape)


def _unsound(content: Bytes, start: int, levels: npt.NDArray[np.int16], shape: np.void) -> str | None:
    """What is wrong with the nodes, which begin at `start`."""
    n, lists = len(levels), [LINK * (1 + int(shape[name])) for name in ("at_level_0", "connectivity")]
    if n and (shape["entry"] >= n or levels.min() < 0 or levels.max() != shape["top"]):
        return "has no node where a search begins"
    if n and levels[int(shape["entry"])] != shape["top"]:
        return "begins its search below the top"
    ends = start + np.cumsum(KEY + LEVEL + lists[0] + lists[1] * levels.astype(np.int64))
    if len(content) != (ends[-1] if n else start):
        return "has not the length of its nodes"
    begins = np.concatenate([[start], ends[:-1]])
    own = _rows(content, begins, KEY + LEVEL)
    if not np.array_equal(_as(own[:, :KEY], "<u8"), np.arange(n)) or not np.array_equal(
        _as(own[:, KEY:], "<i2"), levels
    ):
        return "has nodes that are not those of the vectors, in their order"
    at, level, width = begins + KEY + LEVEL, 0, lists[0]
    rows = np.arange(n)
    while len(rows):
        links = _rows(content, at[rows], width).view("<u4")
        counts, links = links[:, 0], links[:, 1:]
        if counts.max() > links.shape[1] or links.max() >= n:
            return "has a link that leads to no node"
        if level and (levels[links[np.arange(links.shape[1]) < counts[:, None]]] < level).any():
            return "has a link to a node that is not on its level"
        at, level, width = at + width, level + 1, lists[1]
        rows = np.flatnonzero(levels >= level)
    return None


def _rows(content: Bytes, begins: npt.NDArray[np.int64], width: int) -> Bytes:
    """[n, width] bytes from each beginning."""
    return np.lib.stride_tricks.sliding_window_view(content, width)[begins]


def _as(part: Bytes, kind: str) -> npt.NDArray[np.generic]:
    """[n] numbers from rows of their bytes."""
    return np.ascontiguousarray(part).view(kind)[:, 0]
