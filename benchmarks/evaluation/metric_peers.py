"""Metrics of ranx and RecTools for the same lists, ready to be computed and timed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.quality.answers import QUIET
from benchmarks.quality.environments import PEERS, environment
from nightreel.data.histories import ItemArray
from nightreel.evaluation.metrics.ranking import METRICS, Truth

Means = dict[str, float]
Peer = Callable[[], Means]


@contextmanager
def peers(lists: ItemArray, truth: Truth, cutoffs: Sequence[int], state: Path) -> Iterator[dict[str, Peer]]:
    """The peers that can be had, each with its tables read and its functions warm. `ndcg@10` and so on → mean."""
    with ExitStack() as held:
        found = {"ranx": ranx(lists, truth, cutoffs)}
        home = environment("rectools", state)
        if home.failure:
            print(f"RecTools is left out: {home.failure}", flush=True)
        else:
            found["RecTools"] = held.enter_context(rectools(lists, truth, cutoffs, home.python))
        yield found


def ranx(lists: ItemArray, truth: Truth, cutoffs: Sequence[int]) -> Peer:
    """ranx, compiled."""
    from ranx import Qrels, Run, evaluate

    names = [f"{name}@{k}" for name in METRICS for k in cutoffs]
    row, item = np.divmod(truth.keys, truth.n_items)
    wanted: dict[str, dict[str, int]] = {str(u): {} for u in range(len(lists))}
    for u, i in zip(row.tolist(), item.tolist(), strict=True):
        wanted[str(u)][str(i)] = 1
    shown = {str(u): {str(i): 100.0 - r for r, i in enumerate(each)} for u, each in enumerate(lists.tolist())}
    qrels, run = Qrels(wanted), Run(shown)
    evaluate(qrels, run, names)
    return lambda: evaluate(qrels, run, names)


@contextmanager
def rectools(lists: ItemArray, truth: Truth, cutoffs: Sequence[int], python: Path) -> Iterator[Peer]:
    """RecTools, in a process of its own environment that waits to be asked: a line there, a line back."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, PEERS / "rectools_metrics.py", *tables(lists, truth, Path(folder)), "--cutoffs", *cutoffs]
        with subprocess.Popen(
            list(map(str, command)), text=True, bufsize=1, env=os.environ | QUIET,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as child:  # fmt: skip
            asking, answers = child.stdin, child.stdout
            assert asking and answers
            if answers.readline() != "ready\n":
                raise SystemExit("error: RecTools' process ended; its message is above.")

            def ask() -> Means:
                asking.write("\n")
                found: Means = json.loads(answers.readline())
                return found

            yield ask
            asking.close()


def tables(lists: ItemArray, truth: Truth, folder: Path) -> list[str | Path]:
    """Lists and truth as tables, and the options that name them. The -1 at a short list's end is left out."""
    user, place = np.nonzero(lists >= 0)
    row, item = np.divmod(truth.keys, truth.n_items)
    shown, wanted = folder / "shown.parquet", folder / "wanted.parquet"
    pq.write_table(pa.table({"user": user, "item": lists[user, place], "rank": place + 1}), shown)
    pq.write_table(pa.table({"user": row, "item": item}), wanted)
    return ["--shown", shown, "--wanted", wanted]
