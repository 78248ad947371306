"""Options of the service, passed to worker processes in one environment variable."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from nightreel.errors import UserError

VARIABLE = "NIGHTREEL_SERVE"
TOKEN_VARIABLE = "NIGHTREEL_TOKEN"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LEAST_TOKEN = 16  # letters: shorter ones can be guessed


@dataclass(frozen=True)
class Options:
    """store: a folder or s3://…, None for the default; channel: whose versions; refresh_s: between two looks at it.

    threads: answers computed at once in a worker; queue: requests that may wait for one, beyond that they are turned
    away (503); timeout_s: for an answer (504); body: bytes of a request at most (413); cached: answers kept;
    feedback: folder for what comes back, None to refuse it; slates: folder for the log of served lists, None for none.
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

    def hand_over(self) -> None:
        """To this process's children, and to `taken`."""
        os.environ[VARIABLE] = json.dumps(asdict(self))

    @classmethod
    def taken(cls) -> Options:
        """What was handed over; raises UserError when nothing was."""
        try:
            return cls(**json.loads(os.environ[VARIABLE]))
        except (KeyError, ValueError, TypeError):
            raise UserError(f"{VARIABLE} holds no valid options. Start the service with `nightreel serve`.") from None


def token() -> str | None:
    """The secret that clients have to show; None where there is none. Raises UserError for one that is too short."""
    value = os.environ.get(TOKEN_VARIABLE) or None
    if value is not None and len(value) < LEAST_TOKEN:
        raise UserError(
            f"{TOKEN_VARIABLE} has {len(value)} characters; the minimum is {LEAST_TOKEN}. For example: "
            f"export {TOKEN_VARIABLE}=$(openssl rand -hex 24)"
        )
    return value


def require_safe(host: str) -> None:
    """Raises UserError for an address that others can reach while no token is asked for."""
    if host not in LOOPBACK and token() is None:
        raise UserError(
            f"{host}: the service would be reachable by others without a token. Set {TOKEN_VARIABLE} (for "
            f"example to $(openssl rand -hex 24)), or use --host 127.0.0.1."
        )
