"""An SQLite database in WAL mode for several threads and processes: a connection for each thread."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = ":memory:"
WAIT_S = 5.0  # for another process that writes


class SqliteFile:
    """The database.

    Args:
        path: The file; it is created, readable by its owner alone. ":memory:" keeps everything in this process, and is
            one connection for all threads.
        tables: SQL that creates what is missing.

    Raises:
        OSError: The file can't be opened or written.
    """

    def __init__(self, path: str, tables: str) -> None:
        """See the class."""
        self.path, self._tables = path, tables
        self._own, self._lock = threading.local(), threading.Lock()
        self._shared = self._connected() if path == MEMORY else None

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; what SQLite says of the disk becomes OSError."""
        if self._shared is not None:
            with self._lock:
                yield self._shared
            return
        database = getattr(self._own, "database", None)
        if database is None:
            database = self._own.database = self._connected()
        try:
            yield database
        except sqlite3.DatabaseError as error:
            said = getattr(error, "sqlite_errorname", "")
            if said != "SQLITE_BUSY":
                self.close()  # the next use opens the file again, which may be sound by then
            full = said in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
            raise OSError(errno.ENOSPC if full else errno.EIO, f"{error}", self.path) from error

    def close(self) -> None:
        """Close this thread's connection."""
        database = getattr(self._own, "database", None)
        if database is not None:
            self._own.database = None
            with suppress(sqlite3.Error):
                database.close()

    def _connected(self) -> sqlite3.Connection:
        try:
            if self.path != MEMORY:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
                Path(self.path).touch(mode=0o600)
            # Autocommit: transactions are begun where they are meant.
            database = sqlite3.connect(
                self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=self.path != MEMORY
            )
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA secure_delete = ON")
            database.executescript(self._tables)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"{error}", self.path) from error
        return database
