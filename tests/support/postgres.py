"""A PostgreSQL server of the system's packages, in a folder of its own, as a user without rights where root tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nightreel.orchestration.prefect.run_server import free_port

PASSWORD = "s/e:c@r e%t#1"  # as a password generator may make it
ACCOUNT = "films"


def binaries() -> Path | None:
    """The folder of the newest installed release; Debian's is not on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = [Path(named) for named in filter(None, [shutil.which("initdb")])] or debian
    return found[-1].resolve().parent if found else None


@dataclass(frozen=True)
class Postgres:
    """A running server. Its account may create databases; `url` has the account's password."""

    port: int

    def url(self, database: str, scheme: str = "postgresql", password: str = PASSWORD) -> str:
        return f"{scheme}://{ACCOUNT}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def prefect(self, database: str, **changes: Any) -> str:
        """The address as Prefect takes it."""
        return self.url(database, scheme="postgresql+asyncpg", **changes)

    def sql(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement."""
        import psycopg2

        account = {"user": ACCOUNT, "password": PASSWORD, "host": "127.0.0.1", "port": self.port}
        connection = psycopg2.connect(dbname=database, **account)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create(self, *databases: str) -> None:
        for name in databases:
            self.sql("postgres", f"create database {name}")


@contextmanager
def running(bin_folder: Path) -> Iterator[Postgres]:
    """Start it on a free port of loopback; it is ended and its folder removed after the block."""
    folder = Path(tempfile.mkdtemp(prefix="nightreel-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        who = _without_rights(folder)
        make = ["initdb", "-D", folder / "data", "-A", "scram-sha-256", "-U", ACCOUNT, "--no-sync", "-E", "UTF8"]
        _call([*make, "--locale=C.UTF-8", f"--pwfile={folder / 'password'}"], bin_folder, who)
        port = free_port()
        serve = ["postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        with (folder / "log").open("wb") as log:
            command = [bin_folder / serve[0], *serve[1:], "-c", "fsync=off"]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **who)
        try:
            _wait(Postgres(port), process, folder / "log")
            yield Postgres(port)
        finally:
            process.send_signal(signal.SIGINT)  # its "fast" shutdown: clients are disconnected
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _without_rights(folder: Path) -> dict[str, Any]:
    """As whom the server runs, for `subprocess`: it refuses root."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    account = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    return {"cwd": folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _call(command: list[Any], bin_folder: Path, who: dict[str, Any]) -> None:
    done = subprocess.run([bin_folder / command[0], *command[1:]], capture_output=True, text=True, check=False, **who)
    assert done.returncode == 0, done.stdout + done.stderr


def _wait(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + 60
    while True:
        try:
            server.sql("postgres", "select 1")
            return
        except psycopg2.OperationalError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8", "replace")
            time.sleep(0.1)
