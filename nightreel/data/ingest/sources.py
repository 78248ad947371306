"""Sources of a run's tables: a folder, an s3:// prefix or the built-in sample; and whether they changed.

The check for changes reads bytes only, no table, and doesn't import pyarrow: it must be nearly free for an unchanged
source.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nightreel.data.contract.tables import TABLES
from nightreel.data.ingest import movielens
from nightreel.errors import UserError

FORMATS = ("parquet", "csv", "tsv", "jsonl", "ndjson")
COMPRESSIONS = ("gz", "zst", "bz2", "xz")
FILE_NAME = re.compile(rf"^(?P<stem>[^/]+?)\.({'|'.join(FORMATS)})(\.({'|'.join(COMPRESSIONS)}))?$", re.IGNORECASE)
LAYOUT = (
    "A source holds items.* and events.* (or folders items/ and events/), optionally erasures.* and rules.*, as "
    f"{', '.join(FORMATS)}; each may be compressed ({', '.join(COMPRESSIONS)})."
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
    """A source whose files are available locally. fingerprint: sha256 over the names and contents of all of them."""

    name: str
    terms: str
    fingerprint: str
    files: tuple[SourceFile, ...]
    is_sample: bool = False

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
        return _folder(_download(named, downloads, open_remote(named)), named, named)
    folder = Path(named).expanduser()
    if not folder.is_dir():
        fault = "is a file, not a folder" if folder.exists() else "folder not found"
        raise UserError(f"snapshot.source {named!r}: {fault}. Give a folder, s3://bucket/prefix or {movielens.NAME}.")
    return _folder(folder, folder.resolve().name, named)


def table_of(name: str) -> str | None:
    """The table of a source's file: items.csv, items-2.csv.gz, items/any.parquet; None if it belongs to none."""
    found = FILE_NAME.match(name.rpartition("/")[2])
    if found is None or any(part.startswith((".", "_")) for part in name.split("/")):
        return None
    table = name.split("/")[0] if "/" in name else re.sub(r"[-_.][\d\-_.]+$", "", found["stem"])
    return table if table in TABLES else None


def _folder(folder: Path, name: str, shown: str) -> Source:
    try:
        places = [folder.glob("*"), *(folder.glob(f"{table}/**/*") for table in TABLES)]
        paths = sorted(path for place in places for path in place if path.is_file())
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        files = tuple(SourceFile(t, n, path) for n, path in names.items() if (t := table_of(n)) is not None)
        _check_complete(files, names, shown)
        terms = folder / "terms.txt"
        stated = (
            terms.read_text("utf-8", errors="replace").strip()
            if terms.is_file()
            else "none given (put them in terms.txt next to the tables)"
        )
        fingerprint = _fingerprint(files, stated)
    except PermissionError as error:
        raise UserError(f"{error.filename}: permission denied. Give this user read access.") from None
    return Source(name, stated, fingerprint, files)


def _check_complete(files: Iterable[SourceFile], names: Iterable[str], shown: str) -> None:
    """Raise UserError if a required table has no file, or a table exists in two forms."""
    for table in TABLES.values():
        own = [file.name for file in files if file.table == table.name]
        if not own and table.required:
            raise UserError(f"{shown}: holds no {table.name}.* file.{_nearest(table.name, names)} {LAYOUT}")
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


def _download(uri: str, downloads: Path, remote: Remote) -> Path:
    """Copy the prefix's tables to `downloads`; files that were removed there are removed here."""
    folder = downloads / ("s3-" + hashlib.sha256(uri.encode()).hexdigest()[:16])
    keys = [key for key in remote.list("") if table_of(key) is not None or key == "terms.txt"]
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
