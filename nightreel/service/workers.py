"""Several workers behind one address: they are started again when they die, and end when their parent does."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

LOG = logging.getLogger("uvicorn.error")
SILENT_S = 60.0
"""Seconds for which a worker may say nothing before it is taken for hung and killed. uvicorn's own 5 are less than a
busy machine makes a sound one wait, and whatever it was answering would be lost."""


def run(config: Config, listening: socket.socket) -> None:
    """Serve what comes through a socket, with the workers of a configuration, until SIGINT or SIGTERM; exits with a
    code if they can't start."""
    if config.workers > 1:
        Workers(config, [listening]).run()
        return
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run([listening])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Workers(Multiprocess):
    """uvicorn's supervisor, which never waits for a worker, so that signals are heard meanwhile, and which tells when
    one died, and of what."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._asked: dict[Process, float] = {}

    def keep_subprocess_alive(self) -> None:
        """Start a new worker in place of each one that died or hangs; called twice a second."""
        for place, each in enumerate(self.processes):
            if self.should_exit.is_set() or self._is_alive(each):
                continue
            each.kill()
            each.join()
            self._asked.pop(each, None)
            if each.exitcode == STARTUP_FAILURE:  # as every other one would
                self.should_exit.set()
                return
            LOG.warning("worker %s %s; another one takes its place", each.pid, ending(each.exitcode))
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()

    def run(self) -> None:
        """Run until SIGINT or SIGTERM; exits with a code if the workers can't start."""
        super().run()
        if any(each.exitcode == STARTUP_FAILURE for each in self.processes):
            sys.exit(STARTUP_FAILURE)

    def _is_alive(self, worker: Process) -> bool:
        """Whether a worker runs and has answered the last question after its health, or may still do so."""
        if not worker.process.is_alive():
            return False
        with suppress(OSError, EOFError):
            while worker.parent_conn.poll():
                worker.parent_conn.recv()
                self._asked.pop(worker, None)
            if worker not in self._asked:
                self._asked[worker] = time.monotonic()
                worker.parent_conn.send(b"ping")
        return time.monotonic() - self._asked.get(worker, 0.0) < SILENT_S


def ending(code: int | None) -> str:
    """How a process ended, in words.

    Example:
        >>> ending(3)
        'ended with code 3'
    """
    if code is None or code >= 0:
        return f"ended with code {code}"
    if -code == signal.SIGKILL:
        return (
            f"was killed (signal 9): by hand, for want of memory, or since it did not answer for {SILENT_S:g} seconds"
        )
    return f"was ended by signal {-code}"


def end_with_parent() -> None:
    """End this worker as SIGTERM does when its parent is gone: nobody else would, and the port would stay taken."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="nightreel-parent", daemon=True).start()
