"""A synthetic version of any size for measuring the reader: real models, random tastes, vectors around topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import exploration
from nightreel.bundle.assembly import write_contexts, write_histories
from nightreel.bundle.format import read_manifest, seal
from nightreel.data.histories import Histories
from nightreel.models.catalogue import catalogue_of
from nightreel.models.content_vectors import write as write_vectors
from nightreel.models.exploration.content_space import ContentSpace
from nightreel.models.exploration.item_trials import ItemTrials
from nightreel.models.exploration.posterior import fit_posterior
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings.params_file import load

DAY, START = 86_400.0, 1.7e9
CLOSED = {"regularization": 200.0, "decay": 10.0, "top_weights": 64.0, "max_items": 2000.0}
CHOICES = SelectedParams(
    members={
        "popularity": {"half_life_days": 30.0, "buckets": 16.0},
        "ease": CLOSED,
        "slist": CLOSED | {"window": 5.0, "horizon": 1.0, "horizon_decay": 1.0},
        "content_knn": {"decay": 5.0},
    },
    blend="fusion", columns=(), cutoff=100, shortlist=150, half_life_days=(7.0, 30.0), buckets=16, encoder="base",
    moment="last_event",
)  # fmt: skip


def unit_vectors(n: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """[n, width] around topics, of falling variance as a sentence encoder's: even noise has no near neighbours."""
    scale = (1.0 / np.sqrt(1.0 + np.arange(width) / 8)).astype(np.float32)
    topics = rng.normal(size=(max(n // 200, 2), width)).astype(np.float32) * scale
    vectors = topics[rng.integers(0, len(topics), n)]
    vectors += rng.normal(size=(n, width)).astype(np.float32) * scale
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@dataclass(frozen=True, eq=False)
class Made:
    """What a version is made of. vectors: [n, d] of items; past: a row a user."""

    items: pa.Table
    vectors: npt.NDArray[np.float32]
    past: Histories


def made_up(*, users: int, items: int, watched: int, width: int, seed: int = 0) -> Made:
    """Items are taken by a power law, over ninety days."""
    rng = np.random.default_rng(seed)
    weight = 1.0 / (10.0 + np.arange(items))
    taken = rng.choice(items, (users, watched), p=weight / weight.sum())
    times = np.sort(START + rng.uniform(0, 90 * DAY, (users, watched)), axis=1)
    table = pa.table({
        "item_id": [f"i{n}" for n in range(items)],
        "title": [f"Story {n} of the {n % 997}" for n in range(items)],
        "genres": [[f"genre{n % 19}", f"genre{n % 7}"] for n in range(items)],
    })  # fmt: skip
    return Made(table, unit_vectors(items, width, rng), Histories.from_rows(zip(taken, times, strict=True)))


def assemble(
    folder: Path,
    made: Made,
    index: Mapping[str, int] | None,
    base: Path | None = None,
    without: tuple[str, ...] = (),
) -> str:
    """Train, write and seal; returns the digest. index, base: see nightreel.models.content_vectors. without: members
    left out."""
    folder.mkdir(parents=True)
    pq.write_table(made.items, folder / "items.parquet")
    pq.write_table(pa.table({"user_id": [f"u{n:07d}" for n in range(len(made.past))]}), folder / "users.parquet")
    write_histories(folder / "histories", made.past)
    write_histories(folder / "seen", made.past)
    write_contexts(folder, made.past, True)
    write_vectors(folder, made.vectors, index, base)
    members = {name: hyper for name, hyper in CHOICES.members.items() if name not in without}
    choices = CHOICES.model_copy(update={"members": members})
    fit_engine(made.past, catalogue_of(made.items, made.vectors), choices, clock=True).save(folder)
    facts = {"clock": "time", "exclude_seen": True, "data_until": float(made.past.times.max()), "moment": "last_event"}
    facts |= {"name": "made up", "pseudonymised": False, "key_fingerprint": None}
    return seal(folder, facts | ({"vector_index": dict(index)} if index else {}))


def let_explore(folder: Path, rng: np.random.Generator) -> str:
    """Add a posterior of made-up trials to a sealed version, in which nothing is known of half of the items; requests
    that name a share draw from it. Returns the new digest."""
    vectors = np.load(folder / "vectors.npy", allow_pickle=False)
    space, trials = ContentSpace.fit(vectors), rng.choice(np.array([0.0, 1000.0]), len(vectors))
    taken = rng.binomial(trials.astype(np.int64), rng.beta(2, 18, len(vectors))).astype(np.float64)
    known = ItemTrials("shown", trials, taken, float(taken.sum()), 0.09, np.zeros(len(vectors)))
    exploration.write(folder, fit_posterior(known, space.reduced(vectors), space))
    return seal(folder, read_manifest(folder).config)


def write(
    folder: Path, *, users: int, items: int, watched: int, width: int, seed: int = 0, without: tuple[str, ...] = ()
) -> str:
    """A made-up version; returns the digest. without: members that are left out."""
    made = made_up(users=users, items=items, watched=watched, width=width, seed=seed)
    return assemble(folder, made, load().finetune.vector_index.model_dump(), without=without)
