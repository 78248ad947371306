"""Sources of a run's tables: a folder, an s3:// prefix or the built-in sample; and whether they changed.

The check for changes reads bytes only, no table, and doesn't import pyarrow: it must be nearly free for an unchanged
source.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nightreel.data.contract.tables import TABLES
from nightreel.data.ingest import movielens, unread_files
from nightreel.errors import UserError

FORMATS = unread_files.READABLE
COMPRESSIONS = unread_files.COMPRESSIONS
FILE_NAME = re.compile(rf"^(?P<stem>[^/]+?)\.({'|'.join(FORMATS)})(\.({'|'.join(COMPRESSIONS)}))?$", re.IGNORECASE)
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
LAYOUT = (
    "A source holds items.* and events.* (or folders items/ and events/), optionally users.*, erasures.* and "
    f"rules.*, as {', '.join(FORMATS)}; each may be compressed ({', '.join(COMPRESSIONS)})."
)


class Remote(Protocol):
    """The part of a store that a source needs (nightreel.store.backends.base.Store has it)."""

    def list(self, prefix: str) -> dict[str, int]: ...

    def get_file(self, key: str, path: Path) -> None: ...


@dataclass(frozen=True)
class SourceFile:
    """A file of a table; `name` is its path inside the source."""

    table: str
    name: str
    path: Path


@dataclass(frozen=True)
class Source:
    """A source whose files are available locally. fingerprint: sha256 over the names and contents of all of them;
    notes: warnings about files that are not read."""

    name: str
    terms: str
    fingerprint: str
    files: tuple[SourceFile, ...]
    is_sample: bool = False
    notes: tuple[str, ...] = ()

    def of(self, table: str) -> list[SourceFile]:
        """The files of one table, in name order."""
        return [file for file in self.files if file.table == table]


def open_source(named: str, downloads: Path, open_remote: Callable[[str], Remote]) -> Source:
    """Open the source called `named`; raises UserError if it is missing, unreadable or has no tables."""
    if named == movielens.NAME:
        wheel = downloads / movielens.WHEEL
        return Source(
            named, movielens.TERMS, movielens.SHA256, (SourceFile("sample", movielens.WHEEL, wheel),), is_sample=True
        )
    if named.startswith("s3://"):
        remote = open_remote(named)
        names = remote.list("")
        left_out = unread_files.unread(names, {}, [name for name in names if table_of(name) is not None])
        return _folder(_download(named, downloads, remote, list(names)), named, named, left_out)
    folder = Path(named).expanduser()
    if not folder.is_dir():
        fault = "is a file, not a folder" if folder.exists() else "folder not found"
        raise UserError(f"snapshot.source {named!r}: {fault}. Give a folder, s3://bucket/prefix or {movielens.NAME}.")
    return _folder(folder, _printable(folder.resolve().name), named)


def table_of(name: str) -> str | None:
    """The table of a source's file: items.csv, items-2.csv.gz, items/any.parquet; None if it belongs to none."""
    found = FILE_NAME.match(name.rpartition("/")[2])
    if found is None or any(part.startswith((".", "_")) for part in name.split("/")):
        return None
    table = name.split("/")[0] if "/" in name else re.sub(r"[-_.][\d\-_.]+$", "", found["stem"])
    return table if table in TABLES else None


def _folder(folder: Path, name: str, shown: str, left_out: Sequence[unread_files.Unread] = ()) -> Source:
    """The source in a folder. left_out: files of the place that it was downloaded from."""
    try:
        sizes, broken = unread_files.walk(folder)
        names = {_printable(each): folder / each for each in sorted(sizes)}
        files = tuple(SourceFile(t, n, path) for n, path in names.items() if (t := table_of(n)) is not None)
        found = unread_files.unread(
            {_printable(each): size for each, size in sizes.items()},
            {_printable(each): reason for each, reason in broken.items()},
            [file.name for file in files],
        )
        found = [*left_out, *found]
        unread_files.require_rights(found)
        notes = unread_files.warnings_of(found)
        _check_complete(files, names, shown, notes)
        terms = folder / "terms.txt"
        stated = (
            "\n".join(map(_harmless, terms.read_text("utf-8", errors="replace").strip().splitlines()))
            if terms.is_file()
            else "none given (put them in terms.txt next to the tables)"
        )
        fingerprint = _fingerprint(files, stated)
    except PermissionError as error:
        raise UserError(f"{error.filename}: permission denied. Give this user read access.") from None
    return Source(name, stated, fingerprint, files, notes=tuple(notes))


def _printable(name: str) -> str:
    """A file's name as text that can be stored and shown: bytes that are not UTF-8, and characters that steer a
    terminal or turn the direction of writing, are written as \\xff."""
    return _harmless(os.fsencode(name).decode("utf-8", "backslashreplace"))


def _harmless(text: str) -> str:
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _check_complete(files: Iterable[SourceFile], names: Iterable[str], shown: str, notes: Sequence[str]) -> None:
    """Raise UserError if a required table has no file, or a table exists in two forms. notes: about unread files."""
    for table in TABLES.values():
        own = [file.name for file in files if file.table == table.name]
        if not own and table.required:
            near = next((f" {note}" for note in notes if note.startswith(table.name)), _nearest(table.name, names))
            raise UserError(f"{shown}: holds no {table.name}.* file.{near} {LAYOUT}")
        ways = {_way(table.name, name): name for name in own}
        if len(ways) > 1:
            raise UserError(
                f"{shown}: {' and '.join(sorted(ways.values()))} both hold the table {table.name}. Keep one of them; "
                f"parts of one table are named {table.name}-1.*, {table.name}-2.* or lie in {table.name}/."
            )


def _way(table: str, name: str) -> str:
    """How a file belongs to its table: in its folder, as one of numbered parts, or as a single file."""
    if "/" in name:
        return f"{table}/"
    return name if name.startswith(f"{table}.") else f"{table}-"


def _nearest(table: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(table, names, n=1, cutoff=0.4)
    return f" Did you mean {near[0]}?" if near else ""


def _fingerprint(files: Iterable[SourceFile], terms: str) -> str:
    hashed = hashlib.sha256(terms.encode())
    for file in files:
        with file.path.open("rb") as content:
            hashed.update(f"{file.name}\x00{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return hashed.hexdigest()


def _download(uri: str, downloads: Path, remote: Remote, names: Sequence[str]) -> Path:
    """Copy the prefix's tables to `downloads`; files that were removed there are removed here."""
    folder = downloads / ("s3-" + hashlib.sha256(uri.encode()).hexdigest()[:16])
    keys = [key for key in names if table_of(key) is not None or key == "terms.txt"]
    if not keys:
        raise UserError(f"{uri}: holds no items.* or events.*. Check bucket and prefix. {LAYOUT}")
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (path for path in folder.rglob("*") if path.is_file()):
        if stale.relative_to(folder).as_posix() not in keys:
            stale.unlink()
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        remote.get_file(key, partial)
        partial.replace(path)
    return folder
