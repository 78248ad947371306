"""Publishes a version with corrected metadata and the same models, without training."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.assembly import same_items, write_contexts
from nightreel.bundle.context_popularity import FOLDER as POPULAR
from nightreel.bundle.format import MANIFEST, read_manifest, seal
from nightreel.bundle.item_table import ItemTable
from nightreel.bundle.precomputed import LISTS, NEIGHBOURS
from nightreel.bundle.user_table import UserTable
from nightreel.data.contract.schema import ITEMS_SCHEMA
from nightreel.data.contract.tables import ITEMS
from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import FILE_NAME, FORMATS, SourceFile
from nightreel.data.quality.type_tables import load_items
from nightreel.data.recipe import digest as digest_of
from nightreel.errors import UserError
from nightreel.models import content_vectors as content
from nightreel.orchestration.renewed_rights import RIGHTS
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.base import Store
from nightreel.store.publisher import Published, publish

WRITTEN = {
    "items.parquet",
    content.BASE,
    content.CHANGED,
    content.GRAPH,
    POPULAR,
    LISTS,
    NEIGHBOURS,
    MANIFEST,
    "lineage.json",
}


def renew(folder: Path, base: Path, items: pa.Table, vectors: npt.NDArray[np.float32]) -> str:
    """Write and seal a bundle with the base's models and histories, byte for byte.

    The users' lists and the popularity by genre are computed again.

    Args:
        folder: Where to write it.
        base: A version's folder.
        items: The version's items in the same order, with other metadata.
        vectors: [n, d] content vectors of the items.

    Returns:
        The bundle's digest.

    Raises:
        UserError: The items are others, or in another order; that needs a nightly run.
    """
    if same_items(base, items) is None:
        raise UserError(
            f"{base}: the items or their order differ from the version's. Only their metadata can change without a "
            "nightly run; start one: `nightreel run`."
        )
    config = read_manifest(base).config
    shutil.copytree(base, folder, ignore=lambda at, names: WRITTEN & set(names) if Path(at) == base else ())
    pq.write_table(items, folder / "items.parquet")
    content.write(folder, vectors, config.get("vector_index"), base)
    write_contexts(folder, UserTable.read(base, None).histories, config["clock"] == "time")
    seal(folder, config)
    return precompute(folder, Reader.open_bundle(folder, check=False), base)


@dataclass(frozen=True)
class Amended:
    """An amended table of items. base: a version's folder; items: its table with the corrections; changed: number of
    items that differ; new: number of rows without an item in the version."""

    base: Path
    items: pa.Table
    changed: int
    new: int


def read_items(path: Path) -> pa.Table:
    """Read the contract's columns of a table of items.

    Raises:
        UserError: The file is faulty; names the file, row and column.
    """
    return load_items(read_raw(_source("items", path)))


def _source(table: str, path: Path) -> SourceFile:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file. Give a table of {table}, such as {table}.csv.")
    if FILE_NAME.match(path.name) is None:
        raise UserError(f"{path}: unknown format. Use one of {', '.join(FORMATS)}, and that ending in the name.")
    return SourceFile(table, path.name, path)


def read_rules(path: Path) -> Raw:
    """Read a table of rules, to be checked against a version's items.

    Raises:
        UserError: The file is faulty.
    """
    return read_raw(_source("rules", path))


def amend(base: Path, files: Sequence[pa.Table]) -> Amended:
    """Replace cells of a version's items by those of each table, in order.

    Rights alone do not count as a change, because they are stored outside the version.

    Raises:
        UserError: The version has none of the tables' items.
    """
    before = items = pq.ParquetFile(base / "items.parquet").read()
    ids, new = items["item_id"].combine_chunks().cast(pa.string()), set[str]()
    index_of = ItemTable.read(base / "items.parquet").index_of
    for given in files:
        row = pa.array([index_of(item) for item in given["item_id"].to_pylist()], pa.int64())
        new |= set(given["item_id"].filter(row.is_null()).to_pylist())
        items = _replaced(items, given.filter(row.is_valid()), row.drop_null().to_numpy())
    if new and len(new) == len({item for given in files for item in given["item_id"].to_pylist()}):
        raise UserError(
            f"version {base.name[:12]} has none of these items ({', '.join(sorted(new)[:3])} …). New items need a "
            "nightly run; otherwise check the item_id column against the catalogue."
        )
    differs = np.zeros(len(ids), bool)
    for name in (name for name in items.column_names if name not in RIGHTS):
        old = before[name].to_pylist() if name in before.column_names else [None] * len(ids)
        differs |= np.array([_said(a) != _said(b) for a, b in zip(old, items[name].to_pylist(), strict=True)], bool)
    return Amended(base, items, int(differs.sum()), len(new))


def _said(cell: object) -> object:
    """An empty list, a false flag and an empty cell count as equal."""
    return None if cell is False or cell == [] else cell


def _replaced(items: pa.Table, given: pa.Table, row: npt.NDArray[np.int64]) -> pa.Table:
    """Replace cells of `items`. given: rows of the file; row: the index of each in `items`."""
    place = np.arange(items.num_rows)
    place[row] = items.num_rows + np.arange(len(row))
    for name in given.column_names:
        if name == ITEMS.columns[0].name:
            continue
        there = name in items.column_names
        kind = items.schema.field(name).type if there else ITEMS_SCHEMA.field(name).type
        old = items[name].cast(kind).combine_chunks() if there else pa.nulls(items.num_rows, kind)
        cells = pa.concat_arrays([old, given[name].cast(kind).combine_chunks()]).take(pa.array(place))
        if kind == pa.bool_():
            cells = cells.fill_null(False)
        items = (
            items.set_column(items.column_names.index(name), name, cells) if there else items.append_column(name, cells)
        )
    return items


def publish_amended(store: Store, channel: str, digest: str, amended: Amended, *, dry_run: bool) -> Published:
    """Publish a version of the amended items with the base's models and vectors.

    It has a recipe of its own, so that a rollback blocks neither the base nor later runs.

    Raises:
        StaleChallenger: The channel was changed in the meantime.
    """
    with tempfile.TemporaryDirectory(prefix="nightreel-renew-") as scratch:
        made = _made(Path(scratch) / "bundle", amended)
        past = channels.lineage(store, digest)
        record = past | {
            "recipe": digest_of([past.get("recipe"), made]),
            "renewed": digest,
            "label": "renewed",
            "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": platform.node(),
        }
        return publish(
            store, Path(scratch) / "bundle", channel=channel, champion=digest, lineage=record, dry_run=dry_run
        )


def _made(folder: Path, amended: Amended) -> str:
    """Write and seal the bundle; returns its digest."""
    vectors = np.asarray(Reader.open_bundle(amended.base, check=False).vectors)
    return renew(folder, amended.base, amended.items, vectors)
