"""Recommending items without events, by what is known of them: title, description, derived fields, sound and pictures.

    python -m benchmarks.models.cold_items --data FOLDER         # items.* and events.*; runs validate and understand
    python -m benchmarks.models.cold_items --workspace FOLDER    # of a run, with data/validate and data/understand
    python -m benchmarks.models.cold_items … --described         # only items with a description or transcript

The catalogue is split at random into five parts. Each in turn is treated as new: its events are hidden, content kNN
ranks its items for all users with events inside and outside the part, and the former are the targets. So every item is
new once, and users with events in several parts count with their mean. The control ranks a part equally for all users,
by similarity to the mean vector of all other events, because much of what content seems to know of a user is true of
everybody. No event of a part is used for its vectors: encoders use no events, and fusion is trained on the other parts.
Each row is compared with the row above, paired by user.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.speed.nightly import ROOT
from nightreel.content.cache.vector_cache import encode_cached
from nightreel.content.encoders.base import Vectors
from nightreel.content.encoders.registry import open_encoder, resolve_encoder
from nightreel.content.item_pairs import close_pairs
from nightreel.content.item_text import item_text
from nightreel.content.modalities import read_media_vectors
from nightreel.content.training.multimodal_fusion import TEXT, learn_fusion
from nightreel.data.dataset import load_dataset
from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval
from nightreel.evaluation.metrics.ranking import Truth, per_user
from nightreel.models.neighbors.content_knn import ContentKnn
from nightreel.settings.params_file import Settings, load
from nightreel.stage import state_directory
from nightreel.understanding.text.item_prose import prose_of

PARTS, K, DECAY, REPLICATES = 5, 10, 10.0, 2000
NAMED = "title and genres"
DESCRIBED = "title, genres and description as one text"
HEARD = "+ transcript, as embed reads it"
APART = "+ title and prose, as a vector of its own: the mean of both"
Row = dict[str, Any]


def prepare(folder: Path, data: Path, encoder: str) -> Path:
    """snapshot, validate and understand over the data, in `folder`."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["snapshot"]["source"] = str(data.resolve())
    values["embed"]["encoder"] = encoder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    shutil.copyfile(ROOT / "requirements.lock", folder / "requirements.lock")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(state_directory())}
    for stage in ("snapshot", "validate", "understand"):
        subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=folder, env=environment, check=True)
    return folder


def told(items: list[Row], derived: list[Row]) -> dict[str, list[str]]:
    """What the encoder reads of each item, by how much of it is told."""
    named = [{name: row.get(name) for name in ("title", "genres")} for row in items]
    described = [dict(row) for row in items]
    heard = [
        row | {"transcript": row.get("transcript") or own["transcript"]}
        for row, own in zip(items, derived, strict=True)
    ]
    tagged = [
        row | {"tags": list(dict.fromkeys([*(row.get("tags") or ()), *own["tags"]]))}
        for row, own in zip(heard, derived, strict=True)
    ]
    whole = [row | {"description": _with_words(row, own)} for row, own in zip(tagged, derived, strict=True)]
    rows = {NAMED: named, DESCRIBED: described, HEARD: heard, "+ learned tags": tagged,
            "+ keywords and summary": whole}  # fmt: skip
    return {name: [item_text(row) for row in own] for name, own in rows.items()}


def _prose(row: Row, own: Row) -> str:
    """What understand reads of an item; empty where it says nothing in sentences."""
    text = prose_of(row | {"transcript": row["transcript"] or own["transcript"]})
    return text.whole if text.body else ""


def _with_words(row: Row, own: Row) -> str:
    return " ".join(filter(None, [row.get("description"), own["summary"], ", ".join(own["keywords"])]))


@dataclass(frozen=True)
class Bench:
    """What is asked. part: [n_items] in which turn an item is new; PARTS: never, nor is it asked with."""

    history: Histories
    part: npt.NDArray[np.int64]
    settings: Settings

    def scores(self, vectors: Vectors, media: Mapping[str, Vectors] | None = None) -> tuple[FloatArray, FloatArray]:
        """[users] NDCG@10 of content and of the control, NaN for a user who is never asked; with media, fused."""
        found = np.full((2, PARTS, len(self.history)), np.nan)
        for part in range(PARTS):
            new = self.part == part
            hidden = new[self.history.items]
            train, wanted = self.history.where(~hidden), self.history.where(hidden)
            users = np.flatnonzero((train.lengths > 0) & (wanted.lengths > 0))
            own = self._fused(vectors, media, train) if media else vectors
            everybody = own[train.items].mean(0, dtype=np.float64).astype(np.float32)
            past = train.take(users)
            asked = ContentKnn(own, DECAY).score(past, past.last_times)
            for row, scores in enumerate((asked, np.broadcast_to(own @ everybody, asked.shape))):
                lists = np.argsort(-np.where(new, scores, -np.inf), axis=1, kind="stable")[:, :K].astype(np.int32)
                truth = Truth.of(wanted.take(users), len(new))
                found[row, part, users] = per_user(lists, truth, (K,))[f"ndcg@{K}"]
        with np.errstate(invalid="ignore"):
            content, control = np.nansum(found, 1) / (~np.isnan(found)).sum(1)
        return content, control

    def _fused(self, vectors: Vectors, media: Mapping[str, Vectors], train: Histories) -> Vectors:
        given, tuning = {TEXT: vectors, **media}, self.settings.finetune
        popularity = np.bincount(train.items, minlength=len(vectors))
        fused = learn_fusion(given, close_pairs(train), popularity, tuning.fusion, tuning.seed)
        if fused is None:
            raise SystemExit("fusion: too few pairs of items")
        return fused.fuse(given)


def measured(workspace: Path, settings: Settings, described: bool) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """A row for each way to know an item. described: only items with prose take part."""
    data = load_dataset(workspace / "data" / "validate")
    path = workspace / "data" / "understand" / "items.parquet"
    columns = ["tags", "keywords", "summary", "transcript"]
    items, derived = data.items.to_pylist(), pq.read_table(path, columns=columns).to_pylist()
    texts = told(items, derived)
    part, history = np.random.default_rng(0).permutation(np.arange(data.n_items) % PARTS), data.positives(None)
    if described:
        silent = ~np.array([bool(_prose(row, own)) for row, own in zip(items, derived, strict=True)])
        part[silent], history = PARTS, history.where(~silent[history.items])
    bench, encoder = Bench(history, part, settings), open_encoder(settings.embed)
    kept: dict[str, Vectors] = {}

    def encoded(own: list[str]) -> Vectors:
        return encode_cached(encoder, own, state_directory() / "cache")[0]

    for name, own in texts.items():
        if own in [texts[other] for other in kept]:
            continue  # nothing more is known of any item
        kept[name] = encoded(own)
        yield name, *bench.scores(kept[name])
        if name == NAMED:
            both = kept[NAMED] + encoded([_prose(row, own) for row, own in zip(items, derived, strict=True)])
            length = np.linalg.norm(both, axis=1, keepdims=True)
            yield APART, *bench.scores(both / np.maximum(length, np.float32(1e-12)))
    media = read_media_vectors(path)
    base = next(kept[name] for name in (HEARD, DESCRIBED, NAMED) if name in kept)
    for name in media:
        yield f"as embed reads it, fused with {name}", *bench.scores(base, {name: media[name]})
    if len(media) > 1:
        yield f"as embed reads it, fused with {' and '.join(media)}", *bench.scores(base, media)


def shown(values: FloatArray) -> str:
    """Mean and interval over the users who were asked."""
    found = mean_interval(values[~np.isnan(values)], REPLICATES, np.random.default_rng(0))
    return _bounds(found, "")


def _bounds(found: Interval, sign: str) -> str:
    return f"{found.point:{sign}.4f} [{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=Path, help="a folder with items and events")
    given.add_argument("--workspace", type=Path, help="a folder with a run's data")
    parser.add_argument("--encoder", help="embed.encoder (default: the one that embed selects)")
    parser.add_argument("--described", action="store_true", help="only items with a description or transcript")
    asked = parser.parse_args()
    settings, console = load(ROOT / "params.yaml"), Console(width=130)
    if asked.encoder:
        embed = settings.embed.model_copy(update={"encoder": asked.encoder})
        settings = settings.model_copy(update={"embed": embed})
    with tempfile.TemporaryDirectory(prefix="nightreel-cold-") as scratch:
        place = asked.workspace or prepare(Path(scratch), asked.data, settings.embed.encoder)
        if not asked.encoder:
            settings = resolve_encoder(settings, place / "data" / "validate" / "items.parquet")
        table = Table("what is known of an item", "NDCG@10 [95%]", "control", "content − control", "− the row before")
        before: FloatArray | None = None
        for name, content, control in measured(place, settings, asked.described):
            difference = "" if before is None else _bounds(_paired(content - before), "+")
            row = (
                name,
                shown(content),
                f"{np.nanmean(control):.4f}",
                _bounds(_paired(content - control), "+"),
                difference,
            )
            console.print("  ".join(row), highlight=False)
            table.add_row(*row)
            before = content
        users = int((~np.isnan(before)).sum()) if before is not None else 0
        table.title = f"New items, ranked among themselves: {users:,} users"
        console.print(table)


def _paired(values: FloatArray) -> Interval:
    return mean_interval(values[~np.isnan(values)], REPLICATES, np.random.default_rng(0))


if __name__ == "__main__":
    main()
