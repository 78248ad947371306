"""Speed of evaluation: metrics compared with ranx and RecTools, the bootstrap, and full ranking by a vector model.

    python -m benchmarks.evaluation.metrics                          # 50,000 users, 20,000 items; about four minutes
    python -m benchmarks.evaluation.metrics --users 5000 --items 2000

Lists and truth are synthetic (a popular head, one to five wanted items a user). Each figure is the median of
`--rounds`, all three in turns; the peers have the same lists in their own format, and have computed once before timing
starts. RecTools needs an older numpy, so it runs in a process with its own environment, made once in the state
directory. All three must give the same means; RecTools' NDCG is computed with `divide_by_achievable`.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.evaluation.metric_peers import Means, peers
from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.evaluation.metrics.bootstrap import replicate_means
from nightreel.evaluation.metrics.ranking import METRICS, Truth, per_user
from nightreel.evaluation.test_set import TestSet, ask
from nightreel.stage import state_directory

CUTOFFS = (1, 5, 10, 20, 50)
DIMENSIONS, REPLICATES, SAME = 384, 2000, 1e-9
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """What a ranker answers."""

    items: ItemArray
    scores: npt.NDArray[np.float32]


class VectorRanker:
    """The nearest items to the mean of a history's vectors, without what is excluded. A block of users at a time."""

    models = ("vectors",)

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def recommend_many(
        self, histories: Histories, *, moments: FloatArray | None, exclude: Histories | None, k: int, model: str = ""
    ) -> Answer:
        """[n, k] by product, best first."""
        sums = np.add.reduceat(self.vectors[histories.items], histories.indptr[:-1], axis=0)
        scores = sums @ self.vectors.T
        if exclude is not None:
            scores[exclude.rows, exclude.items] = -np.inf
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        found = np.take_along_axis(scores, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        return Answer(
            np.take_along_axis(best, order, axis=1).astype(np.int32), np.take_along_axis(found, order, axis=1)
        )


def question(users: int, items: int, rng: np.random.Generator) -> TestSet:
    """Histories of 20 items, one to five wanted ones, all drawn towards a popular head."""
    past = (items * rng.random((users, 20)) ** 2).astype(np.int32)
    indptr = np.arange(users + 1, dtype=np.int64) * 20
    histories = Histories(indptr, past.ravel(), np.tile(np.arange(20.0), users))
    counts = rng.integers(1, 6, users)
    wanted = (items * rng.random(int(counts.sum())) ** 2).astype(np.int32)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    truth = Truth.of(Histories(ends, wanted, np.zeros(len(wanted))), items)
    return TestSet(
        "fold", np.arange(users, dtype=np.int64), histories, histories, np.zeros(users), truth, np.zeros(items), 0
    )  # fmt: skip


def clocked(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of each piece of work, in turns."""
    spent: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for own, work in zip(spent, works, strict=True):
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
    return [median(own) for own in spent]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--state", type=Path, help="where RecTools' environment is (default: the state directory)")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    trial = question(asked.users, asked.items, rng)
    vectors = rng.standard_normal((asked.items, DIMENSIONS), np.float32)
    start = time.perf_counter()
    lists = ask(VectorRanker(vectors), trial, max(CUTOFFS), "vectors")
    values = per_user(lists, trial.truth, CUTOFFS)
    ranking, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    columns = np.column_stack(list(values.values()))
    (bootstrap,) = clocked(
        asked.rounds, lambda: replicate_means(columns, np.ones(len(columns)), REPLICATES, np.random.default_rng(0))
    )
    state: Path = (asked.state or state_directory() / "benchmarks" / "quality").resolve()
    ours = {name: float(each.mean()) for name, each in values.items()}
    with peers(lists, trial.truth, CUTOFFS, state) as theirs:
        for label, peer in theirs.items():
            agree(label, peer(), ours)
        spent = clocked(asked.rounds, lambda: per_user(lists, trial.truth, CUTOFFS), *theirs.values())
    show(asked.users, asked.items, ranking, peak, bootstrap, dict(zip(["ours", *theirs], spent, strict=True)))


def agree(label: str, theirs: Means, ours: Means) -> None:
    """All of a peer's means are ours, or there is nothing to compare."""
    wrong = [name for name, mean in theirs.items() if not abs(mean - ours[name]) < SAME]
    if wrong or len(theirs) != len(ours):
        raise SystemExit(f"error: {label} has other means than we have: {', '.join(wrong) or 'some are absent'}.")


def show(users: int, items: int, ranking: float, peak: float, bootstrap: float, spent: dict[str, float]) -> None:
    """The table; bars hold for the default size."""
    faster = min(seconds for name, seconds in spent.items() if name != "ours")
    table = Table(title=f"{users:,} users, {items:,} items, {len(CUTOFFS)} cut-offs", title_justify="left")
    for column in ("what", "seconds", "bar", "met"):
        table.add_column(column, justify="right" if column == "seconds" else "left")

    def row(what: str, seconds: str, bar: str, met: bool | None) -> None:
        table.add_row(what, seconds, bar, "" if met is None else "yes" if met else "NO")

    for name, seconds in spent.items():
        ours = name == "ours"
        bar = (
            f"{faster / 5:.2f} s, a fifth of the faster peer's" if ours else f"{seconds / spent['ours']:.1f} times ours"
        )
        row(f"{len(METRICS)} metrics, {name}", f"{seconds:.2f}", bar, seconds <= faster / 5 if ours else None)
    row(f"{REPLICATES:,} bootstrap replicates of all metrics", f"{bootstrap:.2f}", "5 s", bootstrap <= 5)
    row(f"full ranking by {DIMENSIONS}-d vectors, and all metrics", f"{ranking:.1f}", "60 s", ranking <= 60)
    row("its peak memory, MB", f"{peak:,.0f}", "2,000 MB", peak <= 2000)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
