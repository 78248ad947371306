"""python -m nightreel.orchestration.services.mlflow_ui PORT: MLflow's server over the runs that `record` wrote, on loopback.

Where it can't be had (a broken database, no MLflow) a page that says why takes its place, and it is tried again: the
nights go on without it. Where runs go to a server of yours, the page leads there.
"""

from __future__ import annotations

import html
import os
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nightreel.stage import log_progress, state_directory
from nightreel.tracking import faults, sender
from nightreel.tracking.address import shown, tracking_uri

AGAIN_S = 60.0
"""Pause between two tries."""


def main(port: int) -> None:
    """Keep the server, or the page in its place, on a port, until we are ended."""
    uri = tracking_uri(state_directory())
    if uri.startswith(("http://", "https://")):
        stand_in(port, f"Runs are recorded at {shown(uri)}.", shown(uri), None)
    while True:
        why = _server(port)
        log_progress(
            f"MLflow's pages are not available: {why}. Tried again in {AGAIN_S:.0f} s; nights go on without them."
        )
        stand_in(port, f"MLflow's pages are not available: {why}. Nights go on; what they record waits.", None, AGAIN_S)


def _server(port: int) -> str:
    """Run MLflow's server to its end; returns why it ended."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "nightreel.orchestration.services.mlflow_ui", str(port), str(writing)]
    with subprocess.Popen(command, pass_fds=[writing]) as process:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as told:
            why = told.read()
        code = process.wait()
    return why or f"its server ended with exit code {code}, and this log says why"


def become(port: int, told: int) -> None:
    """Become MLflow's server, once its database is made or migrated; else say why not.

    Two processes that migrate a fresh database at the same time break it, so the server must find it ready.

    Args:
        port: To listen on.
        told: A pipe's descriptor that takes the reason; the server itself does not have it.
    """
    os.set_inheritable(told, False)
    state = state_directory()
    uri = tracking_uri(state)
    try:
        sender.open_client(state, uri, lambda message: log_progress(str(message.get("say", message.get("doing")))))
    except Exception as error:
        traceback.print_exc()
        os.write(told, faults.explain(error, uri).encode())
        sys.exit(1)
    os.chdir(state / "mlflow")  # what MLflow takes as relative belongs there, not into the checkout
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"])


def stand_in(port: int, text: str, target: str | None, seconds: float | None) -> None:
    """A page in the place of MLflow's.

    Args:
        port: To listen on.
        text: What it says.
        target: An address to link to, if there is one.
        seconds: How long; None: for good.
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
