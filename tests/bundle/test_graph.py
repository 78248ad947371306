"""A graph of nearest neighbours is read by usearch only if every link in it leads to a node."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nightreel.bundle.format import BundleError
from nightreel.bundle.integrity.graph import HEAD, MATRIX, SHAPE, check_graph
from nightreel.models import ann_index

ITEMS, WIDTH, LINKS = 400, 16, 4
SETTINGS = {"connectivity": LINKS, "expansion_add": 32}
HEADS = MATRIX.itemsize + ITEMS * WIDTH
NODES = HEADS + HEAD.itemsize + SHAPE.itemsize + 2 * ITEMS
FIRST_LINK = 8 + 2 + 4


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("graph") / ann_index.FILE
    vectors = np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)
    ann_index.build(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), SETTINGS, path)
    return path.read_bytes()


def begin_of(graph: bytes, node: int) -> int:
    levels = np.frombuffer(graph, "<i2", ITEMS, NODES - 2 * ITEMS)
    return NODES + int((10 + 4 * (1 + 2 * LINKS) + 4 * (1 + LINKS) * levels[:node].astype(int)).sum())


def tall_and_flat(graph: bytes) -> tuple[int, int]:
    """A node on level 1 or above, and one that is not."""
    levels = np.frombuffer(graph, "<i2", ITEMS, NODES - 2 * ITEMS)
    return int(np.flatnonzero(levels > 0)[0]), int(np.flatnonzero(levels == 0)[0])


def put(at: int, value: int, kind: str) -> Callable[[bytearray], None]:
    number = np.array(value).astype(kind).tobytes()
    return lambda content: content.__setitem__(slice(at, at + len(number)), number)


def link_to_a_lower_node(content: bytearray) -> None:
    tall, flat = tall_and_flat(bytes(content))
    put(begin_of(bytes(content), tall) + 10 + 4 * (1 + 2 * LINKS), 1, "<u4")(content)
    put(begin_of(bytes(content), tall) + 14 + 4 * (1 + 2 * LINKS), flat, "<u4")(content)


def test_a_graph_as_it_was_built_is_sound(graph: bytes, tmp_path: Path) -> None:
    path = tmp_path / ann_index.FILE
    check_graph(path, ITEMS, WIDTH)  # there is none
    path.write_bytes(graph)
    check_graph(path, ITEMS, WIDTH)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (put(NODES + FIRST_LINK, 4_000_000_000, "<u4"), "has a link that leads to no node"),
        (put(NODES + FIRST_LINK, ITEMS, "<u4"), "has a link that leads to no node"),
        (put(NODES + FIRST_LINK - 4, 2 * LINKS + 1, "<u4"), "has a link that leads to no node"),
        (link_to_a_lower_node, "has a link to a node that is not on its level"),
        (put(NODES, 7, "<u8"), "has nodes that are not those of the vectors, in their order"),
        (put(NODES - 2 * ITEMS, -1, "<i2"), "has no node where a search begins"),
        (put(HEADS + HEAD.itemsize + 32, ITEMS, "<u8"), "has no node where a search begins"),
        (put(HEADS + HEAD.itemsize + 8, 2**63, "<u8"), "has nodes with more than 4096 links"),
        (put(HEADS + HEAD.itemsize + 8, 5, "<u8"), "has not the length of its nodes"),
        (put(HEADS + 7, 3, "<u2"), "is no graph over 8-bit vectors as usearch 2 writes it"),
        (put(0, ITEMS - 1, "<u4"), "is not of 400 vectors of 16 numbers"),
        (lambda content: content.__delitem__(slice(-1, None)), "has not the length of its nodes"),
        (lambda content: content.clear(), "is too short for 400 vectors of 16 numbers"),
    ],
)
def test_a_malformed_graph_is_refused_before_it_is_read(
    graph: bytes, tmp_path: Path, damage: Callable[[bytearray], None], message: str
) -> None:
    content = bytearray(graph)
    damage(content)
    (tmp_path / ann_index.FILE).write_bytes(content)
    with pytest.raises(BundleError, match=rf"/{re.escape(ann_index.FILE)}: {message}"):
        check_graph(tmp_path / ann_index.FILE, ITEMS, WIDTH)


def test_a_graph_of_other_vectors_is_refused(graph: bytes, tmp_path: Path) -> None:
    (tmp_path / ann_index.FILE).write_bytes(graph)
    with pytest.raises(BundleError, match=r"is not of 399 vectors|is no graph over"):
        check_graph(tmp_path / ann_index.FILE, ITEMS - 1, WIDTH)
