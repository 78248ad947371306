"""python -m nightreel.orchestration.services.mlflow_ui PORT: MLflow's server for the recorded runs, on loopback.

If it can't start (a broken database, no MLflow), a page explains why and the start is retried; nightly runs continue
without it. If runs are recorded on another server, the page links to it.
"""

from __future__ import annotations

import html
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nightreel.stage import log_progress, state_directory
from nightreel.tracking import faults, sender
from nightreel.tracking.address import shown, tracking_uri

AGAIN_S = 60.0
"""Pause between two attempts, in seconds."""


def main(port: int) -> None:
    """Serve MLflow, or the page that replaces it, on a port until this process is stopped."""
    uri = tracking_uri(state_directory())
    if uri.startswith(("http://", "https://")):
        stand_in(port, f"Runs are recorded at {shown(uri)}.", shown(uri), None)
    while True:
        why = _server(port)
        log_progress(
            f"the MLflow UI is not available: {why}. Next attempt in {AGAIN_S:.0f} s; runs continue without it."
        )
        text = f"The MLflow UI is not available: {why}. Runs continue, and their records wait to be sent."
        stand_in(port, text, None, AGAIN_S)


def _server(port: int) -> str:
    """Run MLflow's server to its end; returns why it ended."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "nightreel.orchestration.services.mlflow_ui", str(port), str(writing)]
    with subprocess.Popen(command, pass_fds=[writing]) as process:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as told:
            why = told.read()
        code = process.wait()
    return why or f"its server ended with exit code {code}; see this log"


def become(port: int, told: int) -> None:
    """Replace this process by MLflow's server, after creating or migrating its database; report why if that fails.

    Two processes that migrate a new database at the same time corrupt it, so it must be ready before the server starts.

    Args:
        port: The port to listen on.
        told: File descriptor of a pipe that takes the reason; the server itself does not inherit it.
    """
    os.set_inheritable(told, False)
    state = state_directory()
    uri = tracking_uri(state)
    (state / "mlflow").mkdir(parents=True, exist_ok=True)
    os.chdir(state / "mlflow")  # so that MLflow's relative paths are not in the checkout
    try:
        sender.open_client(state, uri, lambda message: log_progress(str(message.get("say", message.get("doing")))))
    except Exception as error:
        faults.print_traceback(uri)
        os.write(told, faults.explain(error, uri).encode())
        sys.exit(1)
    # Everybody on the machine can read a command, so the address, which may have a password, is no part of it.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, command)


def stand_in(port: int, text: str, target: str | None, seconds: float | None) -> None:
    """Serve a page instead of MLflow.

    Args:
        port: The port to listen on.
        text: The page's text.
        target: An address to link to, if there is one.
        seconds: How long to serve it; None: for ever.
    """
    link = f'<p><a href="{html.escape(target)}">{html.escape(target)}</a></p>' if target else ""
    page = f"<!doctype html><title>MLflow</title><p>{html.escape(text)}</p>{link}".encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Page) as server:
        if seconds is not None:
            threading.Timer(seconds, server.shutdown).start()
        server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        become(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
