"""A page of another origin, open in Chromium on this machine, that tries to act through the services of `up`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from shutil import which

Attempt = tuple[str, str, str, str]  # method, address, content type, content
ORIGIN = "foreign.example"
SCRIPT = """async attempts => {
  const said = []
  for (const [method, address, type, body] of attempts) for (const mode of ['cors', 'no-cors']) {
    const options = {method, mode, headers: type ? {'Content-Type': type} : {}, body: body || undefined}
    try { const answer = await fetch(address, options); said.push([address, mode, answer.status]) }
    catch (error) { said.push([address, mode, String(error)]) }
  }
  return said
}"""


def chromium() -> str:
    """Path of the browser."""
    found = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "Chromium is not installed: run ./check, or apt-get install chromium"
    return found


def attempt(attempts: Sequence[Attempt]) -> list[tuple[str, str, object]]:
    """Open the page and let it send each request in both modes of `fetch`.

    Returns:
        Address, mode, and what the page learned: a status, 0 for an opaque answer, or the browser's error.
    """
    from playwright.sync_api import sync_playwright

    with _served() as port, sync_playwright() as playwright:
        words = ["--no-sandbox", f"--host-resolver-rules=MAP {ORIGIN} 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=words)
        page = browser.new_page()
        page.goto(f"http://{ORIGIN}:{port}/")
        said = page.evaluate(SCRIPT, [list(each) for each in attempts])
        browser.close()
    return [(str(address), str(mode), what) for address, mode, what in said]


@contextmanager
def _served() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>A page</title>")

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
