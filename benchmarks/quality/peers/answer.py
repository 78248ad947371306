"""One peer's lists: search on validation within a budget, fit on train + validation, lists for the test users.

    python answer.py --peer NAME --question FOLDER --out FILE.parquet --seconds 300

Runs in the peers' environment. Writes user, rank (from 1) and item, and next to it FILE.json with the selected
hyper-parameters and the cost.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from question import Choice, Peer, Question, finish, validation_ndcg


def search(peer: Peer, question: Question, deadline: float) -> tuple[Choice, list[dict[str, Any]]]:
    """The choice with the best validation NDCG@10, and all that were tried. The first choice is always tried; the
    others follow in random order, so that a budget that ends early has still looked everywhere, each begun while it
    should end within the budget."""
    if hasattr(peer, "search"):
        found: tuple[Choice, list[dict[str, Any]]] = peer.search(question, deadline)
        return found
    trials: list[dict[str, Any]] = []
    slowest = 0.0
    rest = np.random.default_rng(0).permutation(np.arange(1, len(peer.grid)))
    for choice in [peer.grid[at] for at in (0, *rest)]:
        began = time.perf_counter()
        if trials and began + slowest > deadline:
            break
        model = peer.fit(question.train, choice)
        lists = finish(peer.recommend(model, question.train, question.search), question.train, question.search)
        slowest = max(slowest, time.perf_counter() - began)
        trials.append({"choice": choice, "ndcg@10": validation_ndcg(lists, question)})
    return max(trials, key=lambda trial: trial["ndcg@10"])["choice"], trials


def answer(name: str, question: Question, seconds: float) -> tuple[Any, dict[str, Any]]:
    """Lists [n, k] and the facts."""
    module, _, model_name = name.partition(".")
    made = importlib.import_module(module).PEERS[model_name]
    began = time.perf_counter()
    # Where events are graded, a peer learns from all of them or from the relevant ones, as its validation likes better.
    versions = [question, question.of_relevant()] if question.graded else [question]
    found = []
    for number, version in enumerate(versions, 1):
        peer: Peer = made(version)
        choice, trials = search(peer, version, began + seconds * number / len(versions))
        found.append((max(trial["ndcg@10"] for trial in trials), -number, peer, version, choice, trials))
    _, number, peer, question, choice, trials = max(found, key=lambda each: each[:2])
    searched = time.perf_counter()
    model = peer.fit(question.past, choice)
    fitted = time.perf_counter()
    lists = finish(peer.recommend(model, question.past, question.answer), question.past, question.answer)
    done = time.perf_counter()
    return lists, {
        "choice": choice,
        "learned_from": "all events" if number == -1 else "relevant events",
        "tried": len(trials), "of": len(peer.grid), "trials": trials,
        "cut": any(trial.get("cut", False) for trial in trials if trial["choice"] == choice),
        "search_s": searched - began, "fit_s": fitted - searched, "recommend_s": done - fitted,
    }  # fmt: skip


def main() -> None:
    """Read, answer, write."""
    parser = argparse.ArgumentParser()
    for flag in ("--peer", "--question", "--out"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--k", type=int, default=10)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    np.random.seed(0)
    question = Question.read(Path(asked.question), asked.k)
    lists, facts = answer(asked.peer, question, asked.seconds)
    row, place = np.nonzero(lists >= 0)
    out = Path(asked.out)
    pq.write_table(pa.table({"user": question.answer.users[row], "rank": place + 1, "item": lists[row, place]}), out)
    facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1, default=float), "utf-8")


if __name__ == "__main__":
    main()
