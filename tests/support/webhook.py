"""A webhook on loopback that keeps what it gets."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook:
    """Keeps what it gets; `status` other than 200 refuses it."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.status = 200
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if received.status == 200:
                    received.got.append(json.loads(body))
                self.send_response(received.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/nightreel"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
