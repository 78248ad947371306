"""A child process that can be stopped with all its children and never outlives this process, even after kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel import child_environment

# The guard blocks on a pipe that only this process holds. A word on it means that all went well; end-of-file without a
# word means that this process died, so the guard kills the child's process group. It holds the run's lock until then.
GUARD = 'read -r word; [ -n "$word" ] || kill -9 "-$1" 2>/dev/null'


@contextmanager
def guard(group: int, hold: int | None) -> Iterator[None]:
    """Kill the process group if this process dies before the block ends."""
    watch = subprocess.Popen(
        ["sh", "-c", GUARD, "guard", str(group)],
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=child_environment.of_worker(os.environ),
        pass_fds=() if hold is None else (hold,),
    )
    assert watch.stdin is not None
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            watch.stdin.write(b"done\n")
            watch.stdin.close()
        watch.wait()


class Child:
    """A command in its own process group, watched by a guard."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path | None = None,
        hold: int | None = None,
    ) -> None:
        """Start the command. Output goes to the file `log`, else to `lines()`; `hold` is a lock's file descriptor that
        the guard keeps open."""
        self.log = log
        with ExitStack() as stack:
            out: int | IO[bytes] = subprocess.PIPE if log is None else stack.enter_context(log.open("ab"))
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._stopped = False
        self._guard = ExitStack()
        self._guard.enter_context(guard(self.process.pid, hold))

    def lines(self) -> Iterator[str]:
        """Its output line by line, without line ends, until it closes; undecodable bytes are replaced."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            yield raw.decode("utf-8", "replace").rstrip()

    def stop(self, grace: float = 2.0) -> int:
        """End the whole group: SIGTERM, `grace` seconds, SIGKILL. Returns the exit code; safe to call twice, since the
        group's number may belong to others by then."""
        if self._stopped:
            return self.process.wait()
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.signal(signal.SIGKILL)
        code = self.process.wait()
        self._guard.close()
        self._stopped = True
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def ended(self) -> bool:
        """Whether the child itself has ended."""
        return self.process.poll() is not None

    def alive(self) -> bool:
        """Whether any process of the group still runs (the child itself is reaped on the way)."""
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        # Ended ones count as its members until process 1 fetches them, which in many containers it never does.
        return any(self._runs(number) for number in psutil.pids())

    def _runs(self, number: int) -> bool:
        """Whether a process is of the group and has not ended."""
        try:
            return os.getpgid(number) == self.process.pid and psutil.Process(number).status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, PermissionError, psutil.Error):
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; a group that is gone is no error."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(grace=0.0 if kind is None else 2.0)
