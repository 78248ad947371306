"""Requests to this machine bypass any proxy that is set in the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

HOSTS = ("127.0.0.1", "localhost", "::1")
NAMES = ("NO_PROXY", "no_proxy")  # programs read one or the other


def direct(environment: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY and no_proxy, with this machine's addresses added to the user's values.

    Args:
        environment: Environment variables of a process.

    Returns:
        Both variables, with the same value.
    """
    listed = ",".join(environment.get(name, "") for name in NAMES).split(",")
    kept = [host.strip() for host in listed if host.strip()]
    hosts = ["*"] if "*" in kept else [*kept, *HOSTS]
    return dict.fromkeys(NAMES, ",".join(dict.fromkeys(hosts)))


def bypass() -> None:
    """Set both variables for this process and for the child processes that it starts from now on."""
    os.environ.update(direct(os.environ))


def why_taken(host: str, port: int) -> str | None:
    """What the system says against listening on a port; None if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def is_loopback(url: str | None) -> bool:
    """Whether a URL's host is this machine, judged by its name only."""
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:
        return False
    return host in HOSTS or host.startswith("127.")
