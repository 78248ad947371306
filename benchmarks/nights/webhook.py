"""A webhook on loopback that appends what it gets to a file, so that a killed benchmark loses none of it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

Message = dict[str, str]


class Webhook:
    """Receives notifications in Apprise's JSON form, while it is open."""

    def __init__(self, kept: Path) -> None:
        """Take the file, with a message in each line."""
        self.kept = kept
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.keep({"title": body["title"], "message": body["message"]})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Its address, as Apprise names it."""
        return f"json://127.0.0.1:{self._server.server_port}/nights"

    def keep(self, message: Message) -> None:
        """Append a message to the file."""
        with self._lock, self.kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message, ensure_ascii=False) + "\n")

    def messages(self) -> list[Message]:
        """All messages so far, those of earlier runs included."""
        return [json.loads(line) for line in self.kept.read_text("utf-8").splitlines()] if self.kept.exists() else []

    def __enter__(self) -> Webhook:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
