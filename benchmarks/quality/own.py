"""The workspace's side, run with the workspace's own code: the split of its night, and its lists.

    python own.py question FOLDER PROTOCOL     # FOLDER/<fold>/question/*.parquet and FOLDER/<fold>/truth.parquet
    python own.py answer FOLDER FOLD PROTOCOL  # FOLDER/<fold>/nightreel.<model>.parquet and .json
    python own.py fit FOLDER FOLD PROTOCOL     # FOLDER/<fold>/fit.json: the candidate's fit once more, timed

The current directory is the workspace. Users and truth are those of the stage evaluate (nightreel.evaluation.test_set).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.assembly import rehearse
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.evaluation.test_set import TestSet, ask, build_test_set
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from nightreel.stage import read_json, stage_main, write_json

VALIDATE, FINETUNE = Path("data/validate"), Path("data/finetune")
LENGTH = 10


def question(folder: Path, protocol: str) -> None:
    """Tables of every fold: the peers' in `question`, the truth beside it."""
    data, cuts = load_dataset(VALIDATE), read_json(VALIDATE / "splits.json")["protocols"]
    folds = []
    for number, fold in enumerate(data.protocols[protocol]):
        cut = cuts[protocol]["cuts"][number] if cuts[protocol]["cuts"] else None
        asked = build_test_set(data, fold, cut[1] if cut else None)
        if not len(asked):
            raise UserError(
                f"{fold}: nobody has a test event and a history to learn from; there is nothing to compare."
            )
        _write_question(folder / fold, data, fold, asked, cut[0] if cut else None)
        folds.append(fold)
    source = read_json(Path("data/snapshot/source.json"))
    write_json(folder / "facts.json", {
        "folds": folds, "protocol": protocol, "digest": data.split_digest[protocol], "gate": data.gate,
        "users": data.n_users, "items": data.n_items, "events": data.events.num_rows, "clock": data.clock,
        "source": Path(str(source["name"])).name, "test_users": data_users(folder, folds),
    })  # fmt: skip


def data_users(folder: Path, folds: list[str]) -> int:
    """Distinct test users over the folds."""
    users = [pq.read_table(folder / fold / "question" / "users.parquet")["user"].to_numpy() for fold in folds]
    return len(np.unique(np.concatenate(users)))


def _write_question(folder: Path, data: Dataset, fold: str, asked: TestSet, valid_moment: float | None) -> None:
    inside = folder / "question"
    inside.mkdir(parents=True, exist_ok=True)
    past = ("train", "valid")
    tables = {
        "train": data.positives(fold, ("train",)), "valid": data.positives(fold, ("valid",)),
        "past": data.positives(fold, past),
        "seen_train": data.seen(fold, ("train",)), "seen_past": data.seen(fold, past),
    }  # fmt: skip
    for name, rows in tables.items():
        pq.write_table(_events(rows), inside / f"{name}.parquet")
    pq.write_table(data.items.select(["item_id", "title"]), inside / "items.parquet")
    pq.write_table(pa.table({"user": asked.users, "moment": asked.moments}), inside / "users.parquet")
    write_json(inside / "facts.json", {
        "clock": data.clock == "time", "exclude_seen": data.exclude_seen, "valid_moment": valid_moment,
        "n_users": data.n_users, "n_items": data.n_items,
    })  # fmt: skip
    test = data.positives(fold, ("test",)).relevant.take(asked.users)
    known = data.seen(fold, past).take(asked.users)
    if data.exclude_seen:
        test = test.where(~np.isin(test.rows * data.n_items + test.items, known.rows * data.n_items + known.items))
    pq.write_table(pa.table({"user": asked.users[test.rows], "item": test.items}), folder / "truth.parquet")
    if data.exclude_seen:
        pq.write_table(pa.table({"user": asked.users[known.rows], "item": known.items}), folder / "hidden.parquet")


def _events(rows: Histories) -> pa.Table:
    gains = np.ones(len(rows.items), np.float32) if rows.gains is None else rows.gains
    return pa.table({"user": rows.rows, "item": rows.items.astype(np.int64), "time": rows.times, "gain": gains})


def answer(folder: Path, fold: str, protocol: str) -> None:
    """Lists of the rehearsed blend and of each of its members, through the Reader."""
    data, cuts = load_dataset(VALIDATE), read_json(VALIDATE / "splits.json")["protocols"][protocol]["cuts"]
    number = data.protocols[protocol].index(fold)
    asked = build_test_set(data, fold, cuts[number][1] if cuts else None)
    latest = protocol == data.gate and number == 0
    reader = Reader.open_bundle(FINETUNE / "candidate" if latest else FINETUNE / "candidates" / fold)
    reader = reader.hiding(read_json(Path("data/snapshot/today.json"))["hidden"])  # as evaluate does
    for old in (folder / fold).glob("nightreel.*"):
        old.unlink()
    for model in reader.models:
        began = time.perf_counter()
        lists = ask(reader, asked, LENGTH, model)
        facts: dict[str, Any] = {"recommend_s": time.perf_counter() - began}
        row, place = np.nonzero(lists >= 0)
        table = {"user": asked.users[row], "rank": place + 1, "item": lists[row, place].astype(np.int64)}
        pq.write_table(pa.table(table), folder / fold / f"nightreel.{model}.parquet")
        write_json(folder / fold / f"nightreel.{model}.json", facts)


def fit(folder: Path, fold: str, protocol: str) -> None:
    """Seconds and megabytes of one fit with the choices made, all members and the lists' blend."""
    data = load_dataset(VALIDATE)
    (folder / fold / "fit.json").unlink(missing_ok=True)
    if protocol != data.gate or fold != data.protocols[protocol][0]:
        return  # the choices of other folds are not kept
    vectors, choices = np.load(FINETUNE / "vectors.npy"), SelectedParams.read(FINETUNE)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        rehearse(
            data, fold, choices, vectors, {"key_fingerprint": None, "pseudonymised": False}, Path(scratch) / "bundle"
        )
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    write_json(folder / fold / "fit.json", {"fit_s": seconds, "peak_mb": peak, "choice": {"blend": choices.blend}})


def main() -> None:
    """One of the three commands above."""
    command, folder, *rest = sys.argv[1:]
    commands: dict[str, Callable[..., None]] = {"question": question, "answer": answer, "fit": fit}
    commands[command](Path(folder), *rest)


if __name__ == "__main__":
    stage_main(main)
