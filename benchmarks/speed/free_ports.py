"""Free ports on loopback for the servers that benchmarks and tests start."""

from __future__ import annotations

import contextlib
import random
import socket

OBJECT_STORE = 8  # ports in a row that the object store takes


def free_ports(count: int = OBJECT_STORE) -> int:
    """The first of `count` free ports in a row."""
    while True:
        first = random.randrange(20_000, 32_000)  # below 32,768, where Linux takes ports for outgoing connections
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
