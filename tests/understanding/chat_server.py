"""A real HTTP server that speaks chat completions, as a language model would that copies from what it is shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Server(HTTPServer):
    """Where numbers are asked for, it turns the candidates round, or answers `order`. Its summary is the text's first sentence, or made up (`invents`); `quote` is its theme's evidence; `failures` are
    codes that it answers first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures: list[int] = []
        self.invents = False
        self.says = "no"
        self.order: list[int] | None = None
        self.quote = "a radio signal arrives"
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.failures:
            self.send_error(self.server.failures.pop(0), explain=self.server.says)
            return
        self.server.asked.append(body)
        self.server.keys.append(self.headers["Authorization"])
        told = body["messages"][1]["content"].partition("Text:\n")[2].partition(". ")[0].rstrip(".") + "."
        summary = "A pirate called Ned digs." if self.server.invents else told
        text = json.dumps({"summary": summary, "themes": [{"theme": "signal", "quote": self.server.quote}]})
        asked = body["response_format"]["json_schema"]["schema"]["properties"]
        if "order" in asked:
            turned = list(range(asked["order"]["maxItems"], 0, -1))
            text = json.dumps({"order": turned if self.server.order is None else self.server.order})
        content = json.dumps({"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 100}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def chat_server() -> Iterator[Server]:
    """Running inside the block."""
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
