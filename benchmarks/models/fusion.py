"""The contribution of sound and pictures to text, and the loss when a modality is missing. Prints two tables.

    python -m benchmarks.models.fusion                       # some minutes: every picture is encoded
    python -m benchmarks.models.fusion --items 200 --users 500

Catalogue and behaviour are synthetic (see benchmarks/understanding/planted_media.py), because no public data set has
real media and real behaviour that can be shipped. So the tables show whether fusion finds a relation between media and
taste that exists, not how strong it is on a platform. Encoders, fusion, content kNN and metrics are the project's own,
with the settings of params.yaml, which were selected on data of seed 20261122; the default seed is another.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.understanding.planted_media import STRENGTH, World, pictures, waves, world
from nightreel.content.encoders.transformer import Encoder
from nightreel.content.item_pairs import close_pairs
from nightreel.content.training.multimodal_fusion import TEXT, Fused, Scale, learn_fusion
from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval
from nightreel.evaluation.metrics.ranking import Truth, per_user
from nightreel.models.neighbors.content_knn import ContentKnn
from nightreel.settings.params_file import Settings, load
from nightreel.understanding.media.audio_features import listen
from nightreel.understanding.media.image_features import Pictures

K, DECAY, REPLICATES = 10, 10.0, 2000
KINDS = ("sound", "picture")
Vectors = npt.NDArray[np.float32]
Given = dict[str, Vectors]


@dataclass(frozen=True)
class Quality:
    """NDCG@10: of each user's last item among all that are not new, and of one new item among the new."""

    known: Interval
    new: Interval


@dataclass(frozen=True)
class Bench:
    """What is asked: train: histories but their last item; last: that item."""

    made: World
    train: Histories
    last: npt.NDArray[np.int64]
    settings: Settings

    @classmethod
    def of(cls, made: World, settings: Settings) -> Bench:
        """Each user's last item held out."""
        ends = made.histories.indptr[1:] - 1
        held = np.zeros(len(made.histories.items), bool)
        held[ends] = True
        return cls(made, made.histories.where(~held), made.histories.items[ends].astype(np.int64), settings)

    def learn(self, given: Given, dropout: float | None = None) -> Fused:
        """Fusion as finetune learns it."""
        tuning = self.settings.finetune
        wanted = tuning.fusion if dropout is None else tuning.fusion.model_copy(update={"dropout": dropout})
        popularity = np.bincount(self.train.items, minlength=len(self.made.titles))
        pairs = close_pairs(self.train)
        found = learn_fusion(given, pairs, popularity, wanted, tuning.seed)
        if found is None:
            raise SystemExit(f"fewer than {wanted.pairs} pairs of items: ask for more users")
        return found

    def quality(self, vectors: Vectors) -> Quality:
        """Of content kNN with these vectors."""
        scores = ContentKnn(vectors, DECAY).score(self.train, self.train.last_times)
        taken = np.zeros(scores.shape, bool)
        taken[self.train.rows, self.train.items] = True
        known = self._ndcg(np.where(taken | self.made.new, -np.inf, scores), self.last)
        return Quality(known, self._ndcg(np.where(self.made.new, scores, -np.inf), self.made.asked))

    def _ndcg(self, scores: npt.NDArray[np.float32], wanted: npt.NDArray[np.int64]) -> Interval:
        lists = np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32)
        truth = Truth.of(Histories.from_rows(([item], [0]) for item in wanted), scores.shape[1])
        return mean_interval(per_user(lists, truth, (K,))[f"ndcg@{K}"], REPLICATES, np.random.default_rng(0))


def encoded(made: World, settings: Settings) -> Given:
    """Modality → vectors, by the project's encoders."""
    sound = np.array([listen(wave)["vector"] for wave in waves(made.sound_style, 1)], np.float32)
    return {TEXT: Encoder.open(settings.embed).encode(made.titles), "sound": sound,
            "picture": Pictures().encode(pictures(made.picture_style, 2))}  # fmt: skip


def unlearned(given: Mapping[str, Vectors]) -> Vectors:
    """The modalities side by side, each of unit length."""
    parts = [Scale.of(name, vectors).apply(vectors) for name, vectors in given.items()]
    unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts]
    return np.hstack(unit).astype(np.float32) / np.float32(np.sqrt(len(unit)))


def ablation(bench: Bench, given: Given) -> Iterator[tuple[str, Quality]]:
    """A row for each set of modalities."""
    yield "text, as encoded", bench.quality(given[TEXT])
    yield "text, sound, picture side by side, nothing learned", bench.quality(unlearned(given))
    for added in ((), ("sound",), ("picture",), KINDS):
        some = {name: given[name] for name in (TEXT, *added)}
        yield " + ".join(some) + ", fused", bench.quality(bench.learn(some).fuse(some))


def missing(bench: Bench, given: Given, dropout: float) -> Iterator[tuple[str, Quality, Quality]]:
    """Half of the items lack a modality when they are asked about: without and with modality dropout in training."""
    plain, robust = bench.learn(given, 0.0), bench.learn(given, dropout)
    lacking = np.random.default_rng(3).random(len(bench.made.titles)) < 0.5
    yield "nothing", bench.quality(plain.fuse(given)), bench.quality(robust.fuse(given))
    for name in given:
        rest = {**given, name: np.where(lacking[:, None], np.float32(0), given[name])}
        yield name, bench.quality(plain.fuse(rest)), bench.quality(robust.fuse(rest))


def shown(figure: Interval) -> str:
    """`0.123 [0.110, 0.136]`."""
    return f"{figure.point:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def main() -> None:
    """Make, learn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic data (default: 1)")
    asked = parser.parse_args()
    settings, console = load(Path(__file__).parents[2] / "params.yaml"), Console(width=120)
    made = world(users=asked.users, items=asked.items, events=16, seed=asked.seed)
    bench, given = Bench.of(made, settings), encoded(made, settings)
    table = Table("vectors of content kNN", "known items", f"new items (of {int(made.new.sum())})")
    table.title = f"NDCG@10 [95%] of {asked.users:,} made-up users, {asked.items:,} made-up items"
    for name, quality in ablation(bench, given):
        table.add_row(name, shown(quality.known), shown(quality.new))
    console.print(table)
    console.print(f"planted strengths: {', '.join(f'{name} {value:g}' for name, value in STRENGTH.items())}")
    dropout = settings.finetune.fusion.dropout
    table = Table("half the items lack", "known: none", f"known: {dropout:g}", "new: none", f"new: {dropout:g}")
    table.title = "Text + sound + picture fused, NDCG@10 [95%], by modality dropout in training"
    for name, plain, robust in missing(bench, given, dropout):
        table.add_row(name, shown(plain.known), shown(robust.known), shown(plain.new), shown(robust.new))
    console.print(table)


if __name__ == "__main__":
    main()
