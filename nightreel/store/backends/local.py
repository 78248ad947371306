"""A store in a local folder: files are written whole and renamed; compare-and-swap holds a file lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightreel.errors import not_permitted
from nightreel.store.backends.base import Conflict, Missing, StoreError, Token, check_key

_PARTIAL_MAX_AGE_S = 86_400


class LocalStore:
    """Keys are files below a root; names that begin with a dot are internal.

    Content is written to `.partial/`, flushed to disk and renamed, so that a key stays complete after a crash or a
    power failure. The folder is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.uri = str(self.root)

    def get(self, key: str) -> bytes:
        with self._clear_errors(key):
            return self._path(key).read_bytes()

    def get_file(self, key: str, path: Path) -> None:
        with self._clear_errors(key):
            shutil.copyfile(self._path(key), path)

    def get_with_token(self, key: str) -> tuple[bytes, Token] | None:
        try:
            content = self.get(key)
        except Missing:
            return None
        return content, _token(content)

    def put(self, key: str, content: bytes | Path) -> None:
        with self._clear_errors(key):
            self._write(self._path(key), content)

    def list(self, prefix: str) -> dict[str, int]:
        with self._clear_errors(prefix):
            return dict(sorted((k, size) for k, size in self._walk(prefix) if k.startswith(prefix)))

    def exists(self, key: str) -> bool:
        with self._clear_errors(key):
            try:
                return stat.S_ISREG(self._path(key).stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def compare_and_swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        with self._clear_errors(key), self._locked():
            now = self.get_with_token(key)
            if (now[1] if now else None) != expected:
                raise Conflict(f"{self.uri}: {key} was changed by another process in the meantime. Run again.")
            self._write(self._path(key), content)
        return _token(content)

    def require_swaps(self) -> None:
        """File locks are always available."""

    def folder(self, prefix: str) -> Path | None:
        return self._path(prefix.rstrip("/"))

    def copy(self, source: str, target: str, sha256: str) -> bool:
        try:
            with self._clear_errors(source):
                with self._path(source).open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                        return False
                self._write(self._path(target), self._path(source), link=True)
        except Missing:
            return False
        return True

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._clear_errors(key):
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the last file of a folder takes the folder with it
                while (path := path.parent) != self.root:
                    path.rmdir()

    def written(self, key: str) -> float:
        with self._clear_errors(key):
            return self._path(key).stat().st_mtime

    def sweep(self, before: float) -> int:
        partials = self.root / ".partial"
        with self._clear_errors("unfinished writes"):
            return _sweep(partials, before) if partials.exists() else 0

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _walk(self, prefix: str) -> Iterator[tuple[str, int]]:
        above, _, beginning = prefix.rpartition("/")
        start = self.root / above
        for folder, names, files in os.walk(start, onerror=_refuse):
            here = beginning if Path(folder) == start else ""  # other subfolders are skipped
            names[:] = [name for name in names if name.startswith(here) and not name.startswith(".")]
            for name in files:
                if not name.startswith("."):
                    path = Path(folder, name)
                    yield path.relative_to(self.root).as_posix(), path.stat().st_size

    def _write(self, path: Path, content: bytes | Path, link: bool = False) -> None:
        """link: `content` is a file of this store that never changes in place, so it can be hard-linked."""
        partials = self.root / ".partial"
        partials.mkdir(parents=True, exist_ok=True)
        _sweep(partials, time.time() - _PARTIAL_MAX_AGE_S)
        working = partials / uuid.uuid4().hex
        try:
            if isinstance(content, Path) and link:
                _link(content, working)
            elif isinstance(content, Path):
                shutil.copyfile(content, working)
            else:
                working.write_bytes(content)
            _flush(working)
            path.parent.mkdir(parents=True, exist_ok=True)
            working.rename(path)
            _flush(path.parent)
        finally:
            working.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one compare-and-swap at a time on this machine; the kernel releases the lock of a killed process."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _clear_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise Missing(f"{self.uri}: holds no {key}.") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StoreError(f"{self.uri}: no space left on the device. Free some space and run again.") from error
            if isinstance(error, PermissionError):
                raise StoreError(f"{self.uri}: {not_permitted(error, self.root)}") from error
            raise StoreError(
                f"{self.uri}: {key}: {error.strerror}. Check the folder and its permissions, or name another "
                "store in NIGHTREEL_STORE."
            ) from error


def _refuse(error: OSError) -> None:
    """A folder that may not be read is no empty folder; one that is gone is."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _token(content: bytes) -> Token:
    return Token(hashlib.sha256(content).hexdigest())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link(source: Path, target: Path) -> None:
    """Create a hard link; a copy if the file system has no links or the file has too many."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def _sweep(partials: Path, limit: float) -> int:
    """Remove files that killed writers left before `limit`; returns their number."""
    removed = 0
    for path in partials.iterdir():
        try:
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
                removed += 1
        except FileNotFoundError:
            continue  # its writer has just finished
    return removed
