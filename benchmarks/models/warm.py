"""Warm start compared with training from scratch, night after night, on validation. Prints a table.

    python -m benchmarks.models.warm                           # the sample, six nights, the encoder not fine-tuned
    python -m benchmarks.models.warm --fitted --blend          # every night fine-tunes its encoder; the last one also
                                                               # trains a ranker
    python -m benchmarks.models.warm --data DIR --nights 4

The events are cut at six points in time; a night knows all events before its own. Every night trains in both ways, on
the same events of every fold: from scratch, and from the state that the night before has saved (the first has none).
NDCG@10 is that of the transformer alone on the fold's validation; seconds are CPU time of both trainings before
validation. The difference has a paired 95% interval over users; over all nights a user counts with the mean of the
user's nights. `parity` is NO where the interval is below 0; a wide interval that contains 0 proves little. No test
event is used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from nightreel.content.training.fit_vectors import fit_content
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.data.quality.feedback_labels import as_arrays
from nightreel.data.split_protocols import choose
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.validation import LEAVE_LAST_OUT, Vectors, content_inputs, fold_task, ndcg
from nightreel.models.base import Catalogue
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import BLEND, Engine
from nightreel.models.ranker.blend import TREES, Blend
from nightreel.models.registry import spec
from nightreel.models.training.fit import WarmStart, fit_engine
from nightreel.models.training.fold_task import Task
from nightreel.models.training.going_on.warm_start import find, keep, warm_start_context
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.model_selection import initial_params
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_examples import Validator, examples
from nightreel.settings.params_file import Settings, load
from nightreel.stage import state_directory

ROOT = Path(__file__).parents[2]
MEMBER: Final = "transformer"
FIRST = 0.75  # share of the events that the first night knows
REPLICATES = 2000


@dataclass(frozen=True)
class Tally:
    """What two ways scored on the same positions. users, anew, warm: [n]; seconds: of each way."""

    users: IntArray
    anew: FloatArray
    warm: FloatArray
    seconds: tuple[float, float]

    def row(self) -> tuple[str, ...]:
        """Both means, the difference with its interval, the seconds and their ratio."""
        _, at = np.unique(self.users, return_inverse=True)
        counts = np.bincount(at)
        mean = mean_interval(np.bincount(at, self.warm - self.anew) / counts, REPLICATES, np.random.default_rng(1))
        return (
            f"{self.anew.mean():.4f}", f"{self.warm.mean():.4f}",
            f"{mean.point:+.4f} [{mean.low:+.4f}, {mean.high:+.4f}]", "yes" if mean.high >= 0 else "NO",
            f"{self.seconds[0]:.1f}", f"{self.seconds[1]:.1f}", f"{self.seconds[1] / self.seconds[0]:.0%}",
        )  # fmt: skip


def together(tallies: list[Tally]) -> Tally:
    """All nights' positions and seconds."""
    users, anew, warm = (np.concatenate([getattr(t, name) for t in tallies]) for name in ("users", "anew", "warm"))
    return Tally(users, anew, warm, (sum(t.seconds[0] for t in tallies), sum(t.seconds[1] for t in tallies)))


def until(data: Dataset, share: float, settings: Settings) -> Dataset:
    """The data set as it was when it held this share of its events."""
    times = data.events["time"].to_numpy()
    events = data.events.filter(times <= np.quantile(times, share))
    choice = choose(as_arrays(events), data.clock, data.exclude_seen, settings.validate_)
    folds = {name: fold for protocol in choice.protocols.values() for name, fold in protocol.folds.items()}
    protocols = {name: list(protocol.folds) for name, protocol in choice.protocols.items()}
    latest = float(events["time"].to_numpy().max())
    return replace(data, events=events, folds=folds, protocols=protocols, gate=choice.gate, data_until=latest)


@dataclass(frozen=True)
class Way:
    """One way through a night: the fold's first two links, and what training them took."""

    inner: Engine
    outer: Engine
    seconds: float


@dataclass(frozen=True)
class Night:
    """One fold's question of a night. clock: whether times are seconds."""

    task: Task
    catalogue: Catalogue
    settings: Settings
    judge: Validator
    bare: SelectedParams

    def choices(self, members: Iterable[str]) -> SelectedParams:
        """Members at the first of their settings."""
        grids = self.settings.finetune.sized(len(self.task.train.items)).members
        return self.bare.model_copy(update={"members": {m: spec(m).grid(grids[m])[0].hyper_params() for m in members}})

    def way(self, choices: SelectedParams, start: WarmStart | None) -> Way:
        """Train inner, then train, as finetune does."""
        began = time.process_time()
        fit = partial(fit_engine, catalogue=self.catalogue, choices=choices, clock=self.judge.clock)
        inner = fit(self.task.inner, start=start)
        outer = fit(self.task.train, start=inner)
        return Way(inner, outer, time.process_time() - began)

    def with_trees(self, way: Way) -> Way:
        """The same with the blend's trees, learned on earlier positions alone."""
        began, settings = time.process_time(), self.settings.finetune
        rng, rounds = np.random.default_rng(settings.seed), settings.trees.num_trees[-1]
        earlier = examples(way.inner, self.task.earlier, self.judge.exclude_seen, settings.negatives, rng)
        text = fit_lambdamart(earlier, [rounds], settings.trees, settings.seed, self.judge.threads)[rounds]
        outer = replace(way.outer, blend=Blend(TREES, earlier.columns, text))
        return Way(way.inner, outer, way.seconds + time.process_time() - began)

    def scored(self, engine: Engine, model: str) -> FloatArray:
        """[n] NDCG@10 at each validation position."""
        asked = self.task.valid
        exclude = asked.histories if self.judge.exclude_seen else None
        lists, _ = engine.top_k(asked.histories, asked.moments, 10, exclude=exclude, hidden=None, model=model)
        return self.judge.quality(lists, asked.targets)

    def tally(self, anew: Way, warm: Way, model: str) -> Tally:
        """Both ways' scores."""
        scores = self.scored(anew.outer, model), self.scored(warm.outer, model)
        return Tally(self.task.valid.users, *scores, (anew.seconds, warm.seconds))


def compare(
    data: Dataset, fold: str, vectors: Vectors, encoder: str, settings: Settings, kept: tuple[Path, Path], blend: bool
) -> dict[str, Tally]:
    """A fold's night both ways, by what is compared; the warm way keeps its state. kept: last night's and tonight's
    folders; none is compared where last night left nothing to go on from."""
    judge = Validator(ndcg, data.exclude_seen, data.clock == "time", 1)
    bare = initial_params(settings.finetune, encoder, "last_event" if fold == LEAVE_LAST_OUT else "data_until")
    task = fold_task(data, fold, settings.finetune)
    night = Night(task, catalogue_of(data.items, vectors), settings, judge, bare)
    fits = warm_start_context(data, task.inner, encoder, {"vectors": vectors.shape[1]})
    earlier, alone = find(kept[0], fits, night.catalogue, most=1000), night.choices([MEMBER])
    start = earlier.start(alone)
    print(f"  {fold}: {earlier.summary(alone)}", flush=True)
    warm = night.way(alone, start)
    keep(kept[1], fits, warm.inner, alone, earlier)
    if start is None:
        return {}
    found = {MEMBER: night.tally(night.way(alone, None), warm, MEMBER)}
    if blend:
        every = night.choices(settings.finetune.members)
        anew, warm = (night.with_trees(night.way(every, begin)) for begin in (None, start))
        found[BLEND] = night.tally(anew, warm, BLEND)
    return found


def nights(
    data: Dataset, settings: Settings, folder: Path, count: int, fitted: bool, blend: bool
) -> dict[str, list[Tally]]:
    """Tallies by what is compared, of every night but the first; blend: on the last night only."""
    base, found = np.load("data/embed/vectors.npy"), dict[str, list[Tally]]()
    judge = Validator(ndcg, data.exclude_seen, data.clock == "time", 1)
    for number, share in enumerate(np.linspace(FIRST, 1.0, count).tolist()):
        tonight = until(data, share, settings)
        print(f"night {number}: {tonight.events.num_rows:,} events", flush=True)
        vectors, encoder = base, "base"
        if fitted:
            content = fit_content(base, content_inputs(tonight, settings, judge), folder / "content")
            vectors, encoder = content.vectors, content.fitted
            shutil.rmtree(folder / "content", ignore_errors=True)
        for fold in tonight.folds:
            kept = folder / str(number - 1) / fold, folder / str(number) / fold
            last = blend and number == count - 1
            for model, tally in compare(tonight, fold, vectors, encoder, settings, kept, last).items():
                found.setdefault(f"{model}, {fold}", []).append(tally)
    return found


def show(found: dict[str, list[Tally]]) -> None:
    """A row a night, and one for all of them."""
    table = Table(title="Warm start compared with training from scratch, on validation", title_justify="left")
    for column in ("", "night", "anew", "warm", "warm - anew [95%, paired]", "parity", "anew s", "warm s", "time"):
        table.add_column(column, justify="left" if column in ("", "parity") else "right")
    for name, tallies in found.items():
        for number, tally in enumerate(tallies, 1):
            table.add_row(name, str(number) if len(tallies) > 1 else "last", *tally.row())
        if len(tallies) > 1:
            table.add_row(name, "all", *together(tallies).row(), style="bold")
        table.add_section()
    Console(width=120).print(table)


def prepare(scratch: Path, data: str | None) -> None:
    """A workspace in `scratch` after the stages up to embed, over `data` or the source of params.yaml."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["snapshot"] |= {"source": str(Path(data).resolve())} if data else {}
    (scratch / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    shutil.copyfile(ROOT / "requirements.lock", scratch / "requirements.lock")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(state_directory())}
    for stage in ("snapshot", "validate", "understand", "embed"):
        subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=scratch, env=environment, check=True)


def main() -> None:
    """Learn the nights both ways and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", metavar="DIR", help="a folder with items.* and events.* (default: params.yaml's source)"
    )
    parser.add_argument("--nights", type=int, default=6)
    parser.add_argument("--fitted", action="store_true", help="fine-tune the encoder, from scratch every night")
    parser.add_argument("--blend", action="store_true", help="also train a ranker on the last night, in both ways")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightreel-warm-") as folder:
        scratch = Path(folder)
        prepare(scratch, asked.data)
        with contextlib.chdir(scratch):
            show(nights(load_dataset(), load(), scratch / "nights", asked.nights, asked.fitted, asked.blend))


if __name__ == "__main__":
    main()
