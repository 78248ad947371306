"""Input and output files of the reading commands."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv, json

from nightreel.data.ingest.sources import FILE_NAME
from nightreel.errors import UserError


def read_column(path: Path, name: str) -> list[str]:
    """Read the ids in a file, in order.

    Args:
        path: A table with the column (see `kind_of`), or any other file with one id per line.
        name: The column.

    Raises:
        UserError: The file is missing or unreadable, lacks the column, or holds no ids.
    """
    try:
        if kind_of(path):
            ids = _texts(_table(path, name), path, name)
        else:
            ids = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
            ids = ids[1:] if ids[:1] == [name] else ids
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file. Give a .parquet or .csv with a column {name}, or one id per line."
        ) from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        fault = str(error).splitlines()[0]
        raise UserError(
            f"{path}: can't be read ({fault}). Give a .parquet or .csv with a column {name}, or one id per line."
        ) from None
    ids = [value for value in ids if value]
    if not ids:
        raise UserError(f"{path}: contains no {name}. Give at least one.")
    return ids


def read_users(path: Path) -> tuple[list[str], list[object] | None]:
    """Read the users of a file, each once and in order.

    Returns:
        The ids, and the cells of the column `moment`; None if the file has no such column.

    Raises:
        UserError: As in `read_column`; also if a user has two moments, since the output names only the user.
    """
    ids = read_column(path, "user_id")
    table = _table(path, "user_id") if kind_of(path) else None
    if table is None or "moment" not in table.column_names:
        return list(dict.fromkeys(ids)), None
    users, moments = table["user_id"].cast(pa.string()).to_pylist(), table["moment"].to_pylist()
    found: dict[str, object] = {}
    for user, moment in zip(users, moments, strict=True):
        if user and found.setdefault(user, moment) != moment:
            raise UserError(f"{path}: user {user} has two moments. Keep one of them, or use two files.")
    return list(found), list(found.values())


def columns_of(path: Path) -> list[str]:
    """Return the names of a table's columns; none for a file that is no table.

    Raises:
        UserError: The file is missing or unreadable.
    """
    try:
        if kind_of(path) == "parquet":
            return list(pq.read_schema(path).names)
        return list(_table(path, "item_id").column_names) if kind_of(path) else []
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file. Give a .parquet or .csv.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read ({str(error).splitlines()[0]}). Give a .parquet or .csv.") from None


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table under a temporary name, then rename it.

    Raises:
        UserError: The file can't be written.
    """
    working = path.with_name(f".{path.name}.partial")
    try:
        pq.write_table(table, working)
        working.rename(path)
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error}). Choose another folder.") from None
    finally:
        working.unlink(missing_ok=True)


def kind_of(path: Path) -> str:
    """The format of a table by its ending, in either case, which a compression may follow: parquet, csv, tsv, jsonl or
    ndjson; empty for any other file.

    Example:
        >>> [kind_of(Path(name)) for name in ("a.CSV", "b.tsv.gz", "c.txt")]
        ['csv', 'tsv', '']
    """
    found = FILE_NAME.match(path.name)
    return "" if found is None else found[2].lower()


def _table(path: Path, name: str) -> pa.Table:
    kind = kind_of(path)
    if kind == "parquet":
        return pq.read_table(path, partitioning=None)
    types = {name: pa.string(), "moment": pa.string()}  # as text, because an id such as 007 must keep its zeros
    packed = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}.get(path.suffix[1:].lower())
    with pa.input_stream(str(path), compression=packed) as content:
        if kind in ("csv", "tsv"):
            parsing = csv.ParseOptions(delimiter="," if kind == "csv" else "\t")
            return csv.read_csv(content, parse_options=parsing, convert_options=csv.ConvertOptions(column_types=types))
        return json.read_json(content)


def _texts(table: pa.Table, path: Path, name: str) -> list[str]:
    if name not in table.column_names:
        raise UserError(f"{path}: has no column {name} (it has {', '.join(table.column_names)}). Rename or add it.")
    return [value for value in table[name].cast(pa.string()).to_pylist() if value is not None]
