"""Run many cases in forked batches: a crash, a hang or a growth of memory ends one batch, and names its case."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

BATCH, EVERY = 100, 500  # cases of a process, and between two lines of progress
LIMIT_S = 60.0  # for one case, on a busy machine


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
    last, found, buffer, deadline = batch.start, list[Failure](), b"", time.monotonic() + LIMIT_S
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(read, 1 << 16) if ready else b""
        if not part:
            break
        deadline, buffer = time.monotonic() + LIMIT_S, buffer + part
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
