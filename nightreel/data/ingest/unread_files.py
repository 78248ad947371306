"""Files of a source that look like a part of it and are not read: named, so that no table is smaller than it seems."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightreel.data.contract.tables import TABLES
from nightreel.errors import UserError

NEAR = 0.85
"""Minimum similarity of a file's name to a table's for the file to be named."""
NAMED = 5
"""Files that a message names."""
READABLE = ("parquet", "csv", "tsv", "jsonl", "ndjson")
COMPRESSIONS = ("gz", "zst", "bz2", "xz")
OTHERS = (
    *("json", "txt", "tab", "psv", "dat", "xls", "xlsx", "ods", "avro", "orc", "feather", "arrow", "ipc", "xml", "sql"),
    *("zip", "tar", "tgz", "7z", *COMPRESSIONS, "lz4", "snappy", "db", "sqlite", "pkl", "pickle", "npy"),
)
"""Other endings of data: a top-level file named like a table is named only if it has one of these or none."""
NO_TABLES = ("terms.txt",)
RIGHTS = ("erasures", "rules")
"""Tables that say what may not be shown or learned."""


@dataclass(frozen=True)
class Unread:
    """A file that is not read. table: to which it seems to belong; reason: why, with what to do; size: in bytes."""

    table: str
    name: str
    reason: str
    size: int


def walk(folder: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Everything below a source's folder that could be a part of a table.

    Args:
        folder: The source.

    Returns:
        (size in bytes by name, reason by name of what can't be read). Links to folders are followed, each folder once.

    Raises:
        PermissionError: A folder can't be listed.
    """
    found: dict[str, int] = {}
    broken: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if near_table(path.name) is not None:
                _add_folder(folder, path, found, broken)
        else:
            _add_file(folder, path, found, broken)
    return found, broken


def _add_folder(root: Path, top: Path, found: dict[str, int], broken: dict[str, str]) -> None:
    seen = {os.path.realpath(root)}
    for where, folders, files in os.walk(top, onerror=_refuse, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            broken[Path(where).relative_to(root).as_posix()] = "links to a folder that is read already. Remove it"
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            _add_file(root, Path(where) / name, found, broken)


def _refuse(error: OSError) -> None:
    raise error


def _add_file(root: Path, path: Path, found: dict[str, int], broken: dict[str, str]) -> None:
    name = path.relative_to(root).as_posix()
    if path.is_file():
        found[name] = path.stat().st_size
    elif path.is_symlink():
        broken[name] = "links to a file that is not there. Restore that file, or remove the link"
    else:
        broken[name] = "is no regular file. Replace it, or remove it"


def near_table(name: str) -> str | None:
    """The table that a file or folder at the top of a source seems to belong to, by its name."""
    stem = name.split(".")[0].casefold().strip()
    for table in TABLES:
        if stem == table or stem.startswith(tuple(f"{table}{mark}" for mark in "-_ (")):
            return table
    near = difflib.get_close_matches(stem, TABLES, n=1, cutoff=NEAR)
    return near[0] if near else None


def unread(names: Mapping[str, int], broken: Mapping[str, str], read: Collection[str]) -> list[Unread]:
    """The files that are not read although they seem to be a part of a table, in name order.

    Args:
        names: Size in bytes of every file by its name inside the source.
        broken: Reason by name of what can't be read.
        read: Names of the files that are read.
    """
    found = [Unread(*told) for told in _candidates(names, read)]
    for name, reason in broken.items():
        table = near_table(name.split("/")[0])
        if table is not None and not _is_hidden(name):
            found.append(Unread(table, name, reason, 0))
    return sorted(found, key=lambda each: each.name)


def _candidates(names: Mapping[str, int], read: Collection[str]) -> Iterator[tuple[str, str, str, int]]:
    for name, size in names.items():
        top, slash, rest = name.partition("/")
        table = near_table(top)
        if table is None or name in read or name in NO_TABLES or _is_hidden(name):
            continue
        endings = [part.casefold() for part in (rest or top).rpartition("/")[2].split(".")[1:]]
        if slash and top != table:
            yield table, name, f"lies in the folder {top}. Rename the folder to {table}", size
        elif not _is_readable(endings):
            if slash or not endings or endings[-1] in OTHERS:
                yield table, name, f"its ending is none of {', '.join(READABLE)}. Convert it, or remove it", size
        elif slash:
            yield table, name, "its name begins with a dot or an underscore. Rename it, or remove it", size
        else:
            ending = name.partition(".")[2]
            yield table, name, f"name it {table}.{ending}, {table}-1.{ending}, … or put it into {table}/", size


def _is_readable(endings: Sequence[str]) -> bool:
    own = endings[:-1] if endings[-1:] and endings[-1] in COMPRESSIONS else endings
    return bool(own) and own[-1] in READABLE


def _is_hidden(name: str) -> bool:
    """Whether a file is one of the marks and checksums that other systems leave beside their parts."""
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return hidden and not name.casefold().endswith(tuple(f".{ending}" for ending in READABLE))


def require_rights(found: Iterable[Unread]) -> None:
    """Raise UserError if a file that may hold erasures or rules is not read: what it wants would not happen."""
    for each in found:
        if each.table in RIGHTS:
            raise UserError(f"{each.name}: is not read, and may hold {each.table}: {each.reason}.")


def warnings_of(found: Iterable[Unread]) -> list[str]:
    """A warning for each table of which some files are not read."""
    every, warnings = list(found), []
    for table in TABLES:
        own = [each for each in every if each.table == table]
        if own:
            shown = "; ".join(f"{each.name}: {each.reason}" for each in own[:NAMED])
            more = f"; and {len(own) - NAMED:,} more" if len(own) > NAMED else ""
            size, files = sum(each.size for each in own), "1 file is" if len(own) == 1 else f"{len(own):,} files are"
            warnings.append(f"{table}: {files} not read ({size:,} bytes): {shown}{more}.")
    return warnings
