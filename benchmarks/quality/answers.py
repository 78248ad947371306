"""Getting a peer's lists: one child process per peer and fold, cached while split, budget and code are the same."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.quality.environments import PEERS, Environment, reason
from benchmarks.quality.roster import Peer

Lists = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "0"}  # waiting threads leave a busy machine to others
PATIENCE_S = 900  # beyond three budgets (search, fit, recommend): then a peer has failed


@dataclass
class Answer:
    """What one model answered, fold by fold. costs: seconds and MB, where known; cut: the budget ended while training
    still gained; kept: answered in an earlier run; failure: why there is no answer."""

    label: str
    lists: list[Lists] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    choice: Any = None
    tried: str = ""
    cut: bool = False
    kept: bool = False
    failure: str = ""

    def add(self, path: Path, facts: dict[str, Any]) -> None:
        """One more fold: seconds add up, memory is the largest."""
        self.lists.append(read_lists(path))
        for name in ("search_s", "fit_s", "recommend_s"):
            if name in facts:
                self.costs[name] = self.costs.get(name, 0.0) + facts[name]
        if "peak_mb" in facts:
            self.costs["peak_mb"] = max(self.costs.get("peak_mb", 0.0), facts["peak_mb"])
        self.choice = self.choice or facts.get("choice")
        self.cut = self.cut or facts.get("cut", False)
        if "of" in facts:
            self.tried = f"{facts['tried']} of {facts['of']}"


def read_lists(path: Path) -> Lists:
    """user, rank and item columns."""
    found = pq.read_table(path)
    user, rank, item = (found[name].to_numpy().astype(np.int64) for name in ("user", "rank", "item"))
    return user, rank, item


def peer_answer(
    peer: Peer, home: Environment, folder: Path, folds: list[str], seconds: float, *, again: bool
) -> Answer:
    """A peer's answer to every fold of a question; what went wrong is told in `failure`."""
    answer = Answer(peer.label, failure=home.failure)
    if answer.failure:
        return answer
    budget = seconds / len(folds)
    for fold in folds:
        out = folder / fold / f"{peer.code}-{_key(peer, budget)}.parquet"
        facts = out.with_suffix(".json")
        answer.kept = facts.exists() and not again
        if not answer.kept:
            began = time.perf_counter()
            print(f"  {peer.label}, {fold} …", end="", flush=True)
            answer.failure = _ask(peer, home, folder / fold / "question", out, budget)
            print(f" {answer.failure or f'{time.perf_counter() - began:,.0f} s'}", flush=True)
        if answer.failure:
            break
        answer.add(out, json.loads(facts.read_text("utf-8")))
    return answer


def _ask(peer: Peer, home: Environment, question: Path, out: Path, seconds: float) -> str:
    """Run the peer's process; returns why it failed, or nothing."""
    log = out.with_suffix(".log")
    command = [
        str(home.python), str(PEERS / "answer.py"), "--peer", peer.code, "--question", str(question.resolve()),
        "--out", str(out.resolve()), "--seconds", str(seconds),
    ]  # fmt: skip
    limit = 3 * seconds + PATIENCE_S
    with log.open("w", encoding="utf-8") as told:
        try:
            done = subprocess.run(
                command,
                cwd=out.parent,
                env=os.environ | QUIET,
                stdout=told,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {limit:,.0f} s"
        except OSError as error:
            return f"did not start: {error}"
    if done.returncode:
        return f"failed ({done.returncode}): {reason(log)}"
    return ""


def _key(peer: Peer, seconds: float) -> str:
    """Changes with the budget and with the code and packages that answer."""
    hashed = hashlib.sha256(f"{peer.code} {seconds:.0f}".encode())
    module = peer.code.partition(".")[0]
    for name in (f"{module}.py", "answer.py", "question.py", f"requirements-{peer.home}.txt"):
        hashed.update((PEERS / name).read_bytes())
    return hashed.hexdigest()[:10]
