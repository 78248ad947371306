"""Options of the service, passed to worker processes in one environment variable."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from nightreel.errors import UserError

VARIABLE = "NIGHTREEL_SERVE"
TOKEN_VARIABLE = "NIGHTREEL_TOKEN"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LEAST_TOKEN = 16  # characters: shorter ones can be guessed


@dataclass(frozen=True)
class Options:
    """Options of the service.

    Attributes:
        store: A folder or s3://bucket/prefix; None for the default.
        channel: Name of the served channel.
        refresh_s: Seconds between two checks for a new version.
        threads: Requests computed at once per worker.
        queue: Requests that may wait; further ones are rejected (503).
        timeout_s: Time limit for a response (504).
        body: Maximum bytes of a request body (413).
        cached: Bytes of cached responses, those to GET and those to POST each.
        feedback: Folder for feedback; None to reject it.
        slates: Folder for the impression log; None for no log.
        recent: File of the recent events that count at once; None: feedback counts from the next night on.
        retention_days: Days after which a recent event is deleted.
        access_log: File of the access log; "-" for standard output, None for none.
        connections: Open connections per worker; further ones are refused (503).
        header_s: Seconds in which a request's head, and each part of its body, must come (408).
    """

    store: str | None
    channel: str
    refresh_s: float
    threads: int
    queue: int
    timeout_s: float
    body: int
    cached: int
    feedback: str | None
    slates: str | None
    recent: str | None = None
    retention_days: float = 30.0
    access_log: str | None = None
    connections: int = 1000
    header_s: float = 10.0

    def hand_over(self) -> None:
        """Pass the options on to this process's children, see `taken`."""
        os.environ[VARIABLE] = json.dumps(asdict(self))

    @classmethod
    def taken(cls) -> Options:
        """The options that were passed on; raises UserError if there are none."""
        try:
            return cls(**json.loads(os.environ[VARIABLE]))
        except (KeyError, ValueError, TypeError):
            raise UserError(f"{VARIABLE} holds no valid options. Start the service with `nightreel serve`.") from None


def token() -> str | None:
    """The token that clients must send; None if there is none. Raises UserError if it is too short."""
    value = os.environ.get(TOKEN_VARIABLE) or None
    if value is not None and len(value) < LEAST_TOKEN:
        raise UserError(
            f"{TOKEN_VARIABLE} has {len(value)} characters; the minimum is {LEAST_TOKEN}. For example: "
            f"export {TOKEN_VARIABLE}=$(openssl rand -hex 24)"
        )
    return value


def require_safe(host: str) -> None:
    """Raise UserError for an address that others can reach if no token is set."""
    if host not in LOOPBACK and token() is None:
        raise UserError(
            f"{host}: the service would be reachable by others without a token. Set {TOKEN_VARIABLE} (for "
            f"example to $(openssl rand -hex 24)), or use --host 127.0.0.1."
        )
