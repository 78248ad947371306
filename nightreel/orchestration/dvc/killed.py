"""Watches a stage's processes, and says why one that was killed by a signal ended: how much memory it held, and what to
lower."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.monitoring import history

EVERY_S = 0.5
LOOKS = 20  # looks at the memory for one at the work done
IDLE = 0.005  # share of one core below which processes only wait
SHELL = 128
"""A shell adds this to the number of the signal that killed its command."""
LOWER = {
    "snapshot": "a source with fewer columns, or in smaller parts",
    "validate": "a source with fewer days",
    "understand": "`understand.media` off, or a smaller `understand.writer.model`",
    "embed": "a smaller `embed.encoder`",
    "finetune": "fewer `finetune.members`, or fewer `finetune.candidates`",
    "evaluate": "fewer `finetune.members`, or fewer `finetune.candidates`",
    "refit": "fewer `finetune.members`",
}
"""What needs less memory, by stage."""


class ProcessWatch:
    """Watches in a thread a process and its children: the most memory that they held together, and whether they work.

    While they use the CPU, the night's file gets a sign of life.
    """

    def __init__(self, pid: int, night: Path | None) -> None:
        """Take the process, and the night's file."""
        self.most = 0
        self._night = night
        self._worked = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self, pid: int) -> None:
        looks = 0
        while not self._end.is_set():
            held, worked = map(sum, zip((0, 0.0), *_used(pid), strict=True))
            self.most = max(self.most, int(held))
            if looks % LOOKS == 0:
                self._give_sign(worked)
            looks += 1
            self._end.wait(EVERY_S)

    def _give_sign(self, worked: float) -> None:
        """Note that the night goes on if the processes used the CPU since the last time; processes that end take their
        seconds with them."""
        if self._night is not None and (worked < self._worked or worked - self._worked >= IDLE * LOOKS * EVERY_S):
            history.sign_of_life(self._night)
        self._worked = worked


def _used(pid: int) -> Iterator[tuple[int, float]]:
    """(bytes of memory, seconds of CPU time) of a process and its children."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return
    for process in family:
        try:
            times = process.cpu_times()
            yield int(process.memory_info().rss), float(times.user + times.system)
        except psutil.Error:
            continue


def signal_of(code: int) -> signal.Signals | None:
    """The signal that an exit code stands for, as Python or as a shell gives it; None if it stands for none.

    Example:
        >>> signal_of(-9) is signal_of(137) is signal.SIGKILL, signal_of(1)
        (True, None)
    """
    number = -code if code < 0 else code - SHELL
    try:
        return signal.Signals(number) if number > 0 else None
    except ValueError:
        return None


def explain(stage: str, number: signal.Signals, most: int) -> str:
    """The sentence for the user. most: bytes of memory that the stage's processes held at most; 0: unknown."""
    held = f" The stage held {most / 1e6:,.0f} MB at most" if most else " Its memory was not measured"
    memory = psutil.virtual_memory()
    free = f"; {memory.available / 1e6:,.0f} of {memory.total / 1e6:,.0f} MB are free now."
    if number is signal.SIGKILL:
        lower = f", or use {LOWER[stage]}" if stage in LOWER else ""
        return (
            f"killed by signal 9 (SIGKILL), as the system does when memory runs out.{held}{free} Free memory{lower}, "
            "and run again; finished stages are kept."
        )
    if number is signal.SIGBUS:
        return (
            f"killed by signal {number.value} (SIGBUS): a file that it had mapped was cut short, or the disk is full."
            f"{held}{free} Check the disk and run again; finished stages are kept."
        )
    if number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE):
        return (
            f"killed by signal {number.value} ({number.name}): a native library failed.{held}{free} Run again; if it "
            "fails again, reinstall requirements.lock on this machine and report it."
        )
    return f"ended by signal {number.value} ({number.name}) from outside. Run again; finished stages are kept."
