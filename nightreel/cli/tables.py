"""The files that reading commands take and write, and the tables that they print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.errors import UserError


def read_column(path: Path, name: str) -> list[str]:
    """The ids in a file, in order: a column of .parquet or .csv (.csv.gz), or one id a line in any other file.

    Raises UserError when the file is missing or unreadable, lacks the column, or holds no ids.
    """
    try:
        if path.suffix == ".parquet" or ".csv" in path.suffixes:
            ids = _texts(_table(path, name), path, name)
        else:
            ids = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
            ids = ids[1:] if ids[:1] == [name] else ids
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file. Give a .parquet or .csv with {name}, or lines.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        fault = str(error).splitlines()[0]
        raise UserError(f"{path}: can't be read ({fault}). Give a .parquet or .csv with {name}, or lines.") from None
    ids = [each for each in ids if each]
    if not ids:
        raise UserError(f"{path}: holds no {name}. Give at least one.")
    return ids


def read_users(path: Path) -> tuple[list[str], list[object] | None]:
    """The users of a file, each once and in order, and the cells of a column `moment` if it has one.

    Raises UserError as `read_column` does, and for a user of two moments, since a list tells only whose it is.
    """
    ids = read_column(path, "user_id")
    table = _table(path, "user_id") if path.suffix == ".parquet" or ".csv" in path.suffixes else None
    if table is None or "moment" not in table.column_names:
        return list(dict.fromkeys(ids)), None
    users, moments = table["user_id"].cast(pa.string()).to_pylist(), table["moment"].to_pylist()
    found: dict[str, object] = {}
    for user, moment in zip(users, moments, strict=True):
        if user and found.setdefault(user, moment) != moment:
            raise UserError(f"{path}: user {user} has two moments. Ask for one of them at a time.")
    return list(found), list(found.values())


def columns_of(path: Path) -> list[str]:
    """The names of a table's columns; none for a file that is neither .parquet nor .csv (.csv.gz).

    Raises UserError when the file is missing or unreadable.
    """
    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        return list(_read_csv(path, "item_id").column_names) if ".csv" in path.suffixes else []
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file. Give a .parquet or .csv.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read ({str(error).splitlines()[0]}). Give a .parquet or .csv.") from None


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table under a temporary name and rename it; raises UserError when that is not possible."""
    working = path.with_name(f".{path.name}.partial")
    try:
        pq.write_table(table, working)
        working.rename(path)
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error}). Choose another place.") from None
    finally:
        working.unlink(missing_ok=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal; cells are text, numbers' columns (`#`, `score`) stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in ("#", "score") else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table, highlight=False)


def _table(path: Path, name: str) -> pa.Table:
    return pq.read_table(path, partitioning=None) if path.suffix == ".parquet" else _read_csv(path, name)


def _read_csv(path: Path, name: str) -> pa.Table:
    from pyarrow import csv

    # Typed as text from the start: an id like 007 must stay as it is.
    return csv.read_csv(
        path, convert_options=csv.ConvertOptions(column_types={name: pa.string(), "moment": pa.string()})
    )


def _texts(table: pa.Table, path: Path, name: str) -> list[str]:
    if name not in table.column_names:
        raise UserError(f"{path}: has no column {name} (it has {', '.join(table.column_names)}). Rename or add it.")
    return [each for each in table[name].cast(pa.string()).to_pylist() if each is not None]
