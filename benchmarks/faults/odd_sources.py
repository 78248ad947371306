"""Sources of every odd kind through snapshot and validate: a message or a result, never a traceback, no row lost.

    python -m benchmarks.faults.odd_sources                   # 20,000 sources, within an hour on two cores
    python -m benchmarks.faults.odd_sources --cases 500 --seed 7
    python -m benchmarks.faults.odd_sources --begin 7250      # goes on where an earlier call was stopped

Half of them are tables that Hypothesis makes: columns of other types, odd cells, other formats. The other half are
sound files with bytes flipped, cut, doubled or put in. They run in batches, each in a process of its own, so that a
crash of native code is counted, too. Every source has to end in a result or in a UserError; in a result, the rows of a
table are those of its files, and no user id may stand in what was written. Ends with status 1 otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.faults.odd_tables import USER, Files, damaged, sources
from nightreel.data import environment, recipe
from nightreel.data.daily_files import read_days
from nightreel.errors import UserError
from nightreel.stage import read_json
from nightreel.understanding.text import comment_tones
from tasks import snapshot, validate
from tests.support.datasets import workspace, write_params

BATCH = 250
"""Sources of one process."""
Result = tuple[Counter[str], list[str]]


def outcome(files: Files, folder: Path) -> str:
    """Run both stages over a source below an empty folder.

    Returns:
        "result", "message", or the fault: a traceback, lost rows, a user id in what was written.
    """
    for name, content in files.content.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    write_params(folder, {"snapshot.source": "source", "validate.quarantine_share": 1.0, "validate.gate_users": 1})
    try:
        with workspace(folder), contextlib.redirect_stdout(io.StringIO()), _one_environment():
            snapshot.main()
            source = read_json(folder / "data/snapshot/source.json")
            # A file of events that can't be read ends the night in validate, which names it.
            found = _leaks(folder) or ("" if source["unread"] else _lost(source["rows"], files.rows))
            if not found:
                validate.main()
                found = _leaks(folder) or ("a file that was not read is passed over" if source["unread"] else "")
    except UserError as error:
        return "message" if str(error).encode() and USER not in str(error) else f"a user id in the message: {error}"
    except Exception:
        return traceback.format_exc(limit=-12)
    return found or "result"


@contextlib.contextmanager
def _one_environment() -> Iterator[None]:
    """The machine and the code are the same for all sources: looked at once. Comments are not judged, because that
    loads a model for every source."""
    with contextlib.ExitStack() as stack:
        for module, name, value in (
            (environment, "describe", {}),
            (recipe, "code_digest", "code"),
            (recipe, "computing_code", ()),
        ):
            stack.enter_context(mock.patch.object(module, name, return_value=value))
        stack.enter_context(
            mock.patch.object(comment_tones, "comment_tones", lambda texts, reads, root: [None] * len(texts))
        )
        yield


def _lost(found: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    """A fault if a table has other rows than its files; unknown where bytes were damaged."""
    wrong = {name: (found[name], n) for name, n in wanted.items() if found[name] != n}
    return f"rows read and rows in the files: {wrong}" if wrong else ""


def _leaks(folder: Path) -> str:
    """A fault if a user id stands in a file of the stages."""
    for path in (folder / "data").rglob("*"):
        if path.suffix == ".parquet" and path.parent.name != "events":
            text = str(pq.read_table(path).to_pydict())
        elif path.suffix in (".json", ".md"):
            text = path.read_text("utf-8")
        else:
            continue
        if USER in text:
            return f"a user id in {path.relative_to(folder)}"
    days = folder / "data/snapshot/events"
    return "a user id in the events" if days.is_dir() and USER in str(read_days(days).to_pydict()) else ""


def batch(number: int, cases: int) -> Result:
    """(outcomes, faults) of a batch of sources; equal arguments make equal sources."""
    counted: Counter[str] = Counter()
    faults: list[str] = []

    def judge(files: Files) -> None:
        with tempfile.TemporaryDirectory(prefix="nightreel-odd-") as scratch:
            told = outcome(files, Path(scratch))
        kind = told if told in ("result", "message") else "fault"
        counted[kind] += 1
        if kind == "fault":
            faults.append(f"{told}\n{files.shown()}")

    @seed(number)
    @settings(max_examples=cases // 2, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(files=sources())
    def made(files: Files) -> None:
        judge(files)

    made()
    rng = random.Random(number)
    for _ in range(cases - cases // 2):
        judge(damaged(rng))
    return counted, faults


def main() -> int:
    """Run the batches and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--begin", type=int, default=0, help="the first case, a multiple of 250")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    began, counted = time.monotonic(), Counter[str]()
    batches = range(asked.begin // BATCH, -(-asked.cases // BATCH))
    waiting = [(asked.seed * 1_000_000 + at, min(BATCH, asked.cases - at * BATCH)) for at in batches]
    running: dict[Any, BaseProcess] = {}
    # Nothing but plain forks of a process without threads: a fork beside a thread may wait for ever for its lock.
    while waiting or running:
        while waiting and len(running) < asked.workers:
            connection, process = _begin(*waiting.pop(0))
            running[connection] = process
        for ready in wait(list(running)):
            found, told = _result(ready, running.pop(ready))
            counted += found
            for text, n in Counter(told).most_common():
                print(f"\n{n} ×\n{text}\n")
            print(f"{sum(counted.values()):,} of {asked.cases - asked.begin:,}: {dict(counted)}", flush=True)
    print(f"{dict(counted)} in {time.monotonic() - began:.0f} s")
    return 1 if counted.keys() - {"result", "message"} else 0


def _begin(number: int, cases: int) -> tuple[Connection, BaseProcess]:
    """Start a batch in a forked process of its own; returns where its result comes from."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_send, args=(sender, number, cases))
    process.start()
    sender.close()
    return receiver, process


def _send(sender: Connection, number: int, cases: int) -> None:
    sender.send(batch(number, cases))


def _result(receiver: Any, process: BaseProcess) -> Result:
    """A batch's counts and faults; a process that ended without them was ended by native code."""
    try:
        found: Result = receiver.recv()
    except EOFError:
        process.join()
        found = Counter({"crash": 1}), [f"a batch's process ended with {process.exitcode}"]
    process.join()
    return found


if __name__ == "__main__":
    sys.exit(main())
