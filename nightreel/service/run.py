"""Start the service: check the options, then run uvicorn."""

from __future__ import annotations

import math
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightreel.errors import UserError
from nightreel.service.options import Options, require_safe
from nightreel.store import channels
from nightreel.store.open import open_store

BACKLOG = 2048  # connections that wait to be accepted


def serve(options: Options, host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM, then finish running requests.

    Args:
        options: Options of the service.
        host: Address to listen on.
        port: Port to listen on.
        workers: Number of processes.

    Raises:
        UserError: The address is reachable from other machines but no token is set, the port is in use, a folder can't
            be written, or nothing is published.
    """
    import uvicorn

    from nightreel.service.connections.limited_http import LimitedHttp
    from nightreel.service.workers import run

    require_safe(host)
    with _listening(host, port) as listening, _shared_counts(workers):
        for folder in filter(None, (options.feedback, options.slates)):
            _require_writable(Path(folder))
        channels.resolve(open_store(options.store), options.channel, None)
        options.hand_over()
        config = uvicorn.Config(
            "nightreel.service.app:build",
            factory=True,
            workers=workers,
            http=LimitedHttp,
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_grace_s(options),
        )
        run(config, listening)


def _grace_s(options: Options) -> int:
    """Seconds for requests in hand when the service is stopped: in them each body comes or is given up, and each answer
    is ready or late."""
    return math.ceil(2 * options.header_s + options.timeout_s) + 1


@contextmanager
def _shared_counts(workers: int) -> Iterator[None]:
    """Let several workers share one folder of counts; set before any of them imports prometheus_client."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="nightreel-counts-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: can't be written ({error.strerror or error}). Give this user write access, or choose another "
            "folder."
        ) from None


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens from now on: of two services that start at once, one gets the port, and the other is told.
    Whoever connects before the version is open waits for it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
        return made
    except OSError as error:
        raise UserError(
            f"{host}:{port}: can't listen on this address ({error.strerror or error}). Stop the process that uses it "
            f"(`ss -ltnp`), or choose another port: nightreel serve --port {port + 1}."
        ) from None
