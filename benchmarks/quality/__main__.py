"""Nightreel and other libraries' recommenders on the same split, scored by the same code, in one table.

    python -m benchmarks.quality --data movielens-100k
    python -m benchmarks.quality --data FOLDER --protocol leave_last_out --minutes 5 --peers rectools-ease implicit-als

A night runs in a fresh clone of HEAD (or give a --workspace where one has run). Peers are trained on the split that its
validate stage wrote, in separate environments, one process each: hyper-parameters are selected on validation within a
time budget, then one fit on train + validation gives ten items for every test user. The test events are read once, by
the scorer; each read is logged in the state folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.quality.answers import Answer, peer_answer
from benchmarks.quality.environments import environment
from benchmarks.quality.night import Night, NightError, finished, run
from benchmarks.quality.plot import draw
from benchmarks.quality.report import Report, compare, show
from benchmarks.quality.roster import ROSTER
from benchmarks.quality.scoring import BadLists, Truth
from benchmarks.speed.nightly import ROOT
from nightreel.stage import read_json, state_directory, write_json

AGREES = 1e-6


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="movielens-100k", help="a folder with items.* and events.*, or the sample")
    parser.add_argument("--name", help="name of the data set in tables and file names (default: the folder's)")
    parser.add_argument("--protocol", choices=("leave_last_out", "global_time"), help="default: the gate's own")
    parser.add_argument("--cuts", type=int, choices=range(1, 6), help="global_time: rolling cuts, pooled (default: 1)")
    parser.add_argument("--peers", nargs="*", choices=list(ROSTER), default=list(ROSTER), metavar="PEER",
                        help=f"default: all of {', '.join(ROSTER)}")  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="time limit of each peer's hyper-parameter search (default: 5)"
    )
    parser.add_argument("--workspace", type=Path, help="a checkout after `nightreel run`, used instead of a new night")
    parser.add_argument(
        "--state", type=Path, help="folder of environments, lists and results (default: in the state directory)"
    )
    parser.add_argument("--figure", type=Path, help="SVG or PNG file (default: next to the result)")
    parser.add_argument("--again", action="store_true", help="run peers again that have cached lists")
    asked = parser.parse_args(words)
    if not asked.minutes > 0:
        parser.error("--minutes: must be above 0")
    return asked


def chosen(asked: argparse.Namespace) -> dict[str, object]:
    """Parameters of the night that the command line chose."""
    wanted = {"validate.gate": asked.protocol, "validate.cuts": asked.cuts}
    return {name: value for name, value in wanted.items() if value is not None}


def main() -> None:
    """A night, the peers, the tables, the JSON and the figure."""
    asked = arguments(sys.argv[1:])
    state: Path = (asked.state or state_directory() / "benchmarks" / "quality").resolve()
    state.mkdir(parents=True, exist_ok=True)
    try:
        night = finished(asked.workspace) if asked.workspace else run(asked.data, chosen(asked), state)
        report = benchmark(night, asked, state)
    except (NightError, BadLists) as error:
        raise SystemExit(f"error: {error}") from None
    show(report, Console(width=max(150, Console().width)))
    name = f"{report.facts['source']}-{report.facts['protocol']}"
    write_json(state / "results" / f"{name}.json", report.as_json())
    figure = asked.figure or state / "results" / f"{name}.svg"
    draw([report.as_json()], figure)
    print(f"\nwritten: {state / 'results' / f'{name}.json'}, {figure}")


def benchmark(night: Night, asked: argparse.Namespace, state: Path) -> Report:
    """Everybody's answers to the night's question, scored."""
    splits = read_json(night.workspace / "data/validate/splits.json")
    protocol = asked.protocol or splits["gate"]
    if protocol not in splits["protocols"]:
        why = splits["refused"].get(protocol, f"this night split by {', '.join(splits['protocols'])} alone")
        raise NightError(f"--protocol {protocol}: {why}.")
    place = state / "answers" / splits["protocols"][protocol]["digest"][:16]
    night.own("question", str(place), protocol)
    facts = read_json(place / "facts.json")
    facts["source"] = asked.name or facts["source"]
    for fold in facts["folds"]:
        night.own("answer", str(place), fold, protocol)
        night.own("fit", str(place), fold, protocol)
    ours, members = own_answers(night, place, facts)
    homes = {home: environment(home, state) for home in sorted({ROSTER[name].home for name in asked.peers})}
    print(f"{len(asked.peers)} peers, {asked.minutes:g} minutes of search each", flush=True)
    peers = [
        peer_answer(
            ROSTER[name], homes[ROSTER[name].home], place, facts["folds"], asked.minutes * 60, again=asked.again
        )
        for name in asked.peers
    ]
    log_read(state, facts, asked.peers)
    truths = [truth_of(place / fold) for fold in facts["folds"]]
    facts |= {"minutes": asked.minutes, "machine": machine(), "commit": commit(night.workspace)}
    if night.cost:
        facts |= {"night_s": night.cost.seconds, "night_mb": night.cost.peak, "stages": night.stages}
    report = compare(ours, members, peers, truths, facts)
    facts["checks"] = check(report, night.workspace, facts)
    return report


def own_answers(night: Night, place: Path, facts: dict[str, Any]) -> tuple[Answer, list[Answer]]:
    """What was to be published, and each of its members alone."""
    decided = read_json(night.workspace / "data/evaluate/decision.json")["model"]
    found: dict[str, Answer] = {}
    for fold in facts["folds"]:
        for path in sorted((place / fold).glob("nightreel.*.parquet")):
            model = path.stem.partition(".")[2]
            answer = found.setdefault(model, Answer("Nightreel" if model == decided else model.replace("_", "-")))
            answer.add(path, read_json(path.with_suffix(".json")))
    ours = found.pop(decided)
    fit = place / facts["folds"][0] / "fit.json"
    if fit.exists():
        ours.costs |= {name: value for name, value in read_json(fit).items() if name != "choice"}
        ours.choice = read_json(fit)["choice"]
    if night.stages and "fit_s" in ours.costs:
        ours.costs["search_s"] = max(0.0, night.stages["finetune"] - ours.costs["fit_s"])
    return ours, list(found.values())


def truth_of(folder: Path) -> Truth:
    """The fold's test events, and what no list may hold."""

    def pairs(name: str) -> tuple[Any, Any]:
        table = pq.read_table(folder / name)
        return table["user"].to_numpy().astype(np.int64), table["item"].to_numpy().astype(np.int64)

    return Truth.of(pairs("truth.parquet"), pairs("hidden.parquet") if (folder / "hidden.parquet").exists() else None)


def check(report: Report, workspace: Path, facts: dict[str, Any]) -> list[str]:
    """Whether this scorer and the evaluate stage, which share no code, agree on Nightreel's own lists."""
    if facts["protocol"] != facts["gate"]:
        return []
    scores = pq.read_table(workspace / "data/evaluate/scores.parquet", columns=["model", "ndcg@10"]).to_pandas()
    decided = read_json(workspace / "data/evaluate/decision.json")["model"]
    theirs = float(scores[scores["model"] == decided]["ndcg@10"].mean())
    if abs(theirs - report.ours.ndcg) < AGREES:
        return ["The evaluate stage's own NDCG@10 of Nightreel is the same."]
    return [
        f"The evaluate stage's own NDCG@10 of Nightreel is {theirs:.6f}, and not {report.ours.ndcg:.6f}: find out why."
    ]


def log_read(state: Path, facts: dict[str, Any], peers: list[str]) -> None:
    """A line for each time that a test split is read."""
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "source": facts["source"],
        "protocol": facts["protocol"], "split": facts["digest"], "test_users": facts["test_users"], "peers": peers,
        "commit": commit(ROOT),
    }  # fmt: skip
    with (state / "reads.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def machine() -> str:
    """The CPUs, and how busy they were, in words: with more load than CPUs a budget in seconds buys less."""
    load = os.getloadavg()[2]
    return f"{os.cpu_count()} CPUs ({platform.machine()}), load average {load:.1f}, Python {platform.python_version()}."


def commit(folder: Path) -> str:
    """The checkout's commit, or nothing."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
