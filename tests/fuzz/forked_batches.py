"""Run many cases in forked batches: a crash, a hang or a growth of memory ends one batch, and names its case."""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped,unused-ignore]

BATCH, EVERY = 100, 500  # cases of a process, and between two lines of progress
LIMIT_S = 60.0
"""Processor seconds for one case: by the clock, a sound one would hang on a machine that is busy with other things."""
WAITING_S = 1800.0
"""Seconds by the clock after which a case that uses no processor hangs."""
LOOK_S = 1.0
"""Seconds between two looks at a batch that says nothing."""


@dataclass(frozen=True)
class Failure:
    """A case that did not end as it should. number: its seed."""

    number: int
    what: str


def run(case: Callable[[int], str | None], numbers: range, most_bytes: int | None = None) -> list[Failure]:
    """Run `case` for each number.

    Args:
        case: Takes a number; returns what is wrong, or None. Whatever it raises is a failure, too.
        numbers: The cases.
        most_bytes: Peak of resident memory that a batch may reach.

    Returns:
        The failures.
    """
    failures: list[Failure] = []
    begin = numbers.start
    while begin < numbers.stop:
        batch = range(begin, min(begin + BATCH, numbers.stop))
        last, found, whole = _batch(case, batch, most_bytes)
        failures += found
        for failure in found:
            print(f"case {failure.number}: {failure.what}", flush=True)
        begin = batch.stop if whole else last + 1  # go on after the case that ended the batch
        if begin % EVERY == 0:
            print(f"{begin - numbers.start:,} of {len(numbers):,} cases, {len(failures)} failures", flush=True)
    return failures


def _batch(case: Callable[[int], str | None], batch: range, most_bytes: int | None) -> tuple[int, list[Failure], bool]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _work(case, batch, most_bytes, write)
    os.close(write)
    last, found, buffer = batch.start, list[Failure](), b""
    used, until = _used(child), time.monotonic() + WAITING_S
    while True:
        ready, _, _ = select.select([read], [], [], LOOK_S)
        if not ready and _used(child) < used + LIMIT_S and time.monotonic() < until:
            continue
        part = os.read(read, 1 << 16) if ready else b""
        if not part:
            break
        used, until, buffer = _used(child), time.monotonic() + WAITING_S, buffer + part
        *lines, buffer = buffer.split(b"\x00")
        for line in lines:
            number, _, what = line.decode().partition(" ")
            last = int(number)
            found += [Failure(last, what)] if what else []
    os.close(read)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if status == 0:
        return last, found, True
    ended = "took too long" if not ready else f"ended the process ({os.waitstatus_to_exitcode(status)})"
    return last, [*found, Failure(last, ended)], False


def _used(child: int) -> float:
    """Processor seconds that a child has used; infinitely many once it has ended, whose pipe then tells so."""
    try:
        times = psutil.Process(child).cpu_times()
    except psutil.NoSuchProcess:
        return math.inf
    return float(times.user + times.system)


def _work(case: Callable[[int], str | None], batch: range, most_bytes: int | None, write: int) -> None:
    """In the child: tell each number before its case, so that whoever dies is known."""
    for number in batch:
        os.write(write, f"{number} \x00".encode())
        try:
            what = case(number)
        except BaseException:
            what = traceback.format_exc(limit=-6)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if what is None and most_bytes is not None and peak > most_bytes:
            what = f"took {peak / 1e6:.0f} MB"
            most_bytes = None  # the peak stays
        if what:
            os.write(write, f"{number} {what}\x00".encode())
    os._exit(0)
