"""Shared by all campaigns: a real S3 server, versions to publish, processes that can be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import made_up_bundle
from nightreel.bundle.format import CONFIG, seal
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends import s3_upload
from nightreel.store.backends.base import Store
from nightreel.store.publisher import Published, publish

BASES = 4
PART_BYTES = 5 * 2**20  # the least that S3 permits, so that a file of little more goes up in two parts
LARGE = 5 * 2**20 + 2**16
_PRELOADED = ["benchmarks.faults.readers", "benchmarks.faults.kills", "benchmarks.faults.weather"]


@dataclass(frozen=True)
class Row:
    """A line of the table of counts. met: whether what was counted is as it has to be."""

    what: str
    counted: str
    must: str
    met: bool


@dataclass(frozen=True)
class World:
    """environment: the AWS variables that reach the server; bases: bundles that answer differently."""

    root: Path
    environment: dict[str, str]
    bases: tuple[Path, ...]

    def uri(self, name: str) -> str:
        """A store of its own for each campaign."""
        return f"s3://nightreel/{name}"

    def bundle(self, n: int, *, large: bool = False) -> Path:
        """The nth version to publish: never the same digest twice, and other answers than its neighbours'. large: with
        a file that goes up in parts."""
        base = n % len(self.bases)
        folder = self.root / "versions" / str(n)
        shutil.copytree(self.bases[base], folder, copy_function=os.link, ignore=shutil.ignore_patterns(CONFIG))
        if large:
            np.save(folder / "large.npy", np.random.default_rng(n).integers(0, 256, LARGE, np.uint8))
        seal(folder, json.loads((self.bases[base] / CONFIG).read_bytes()) | {"base": base, "name": f"version {n}"})
        return folder


def build(root: Path, environment: dict[str, str]) -> World:
    """Write the bundles; some seconds."""
    bases = tuple(root / "bases" / str(base) for base in range(BASES))
    for base, folder in enumerate(bases):
        made_up_bundle.write(folder, users=30, items=80, watched=12, width=64, seed=base, without=("slist",))
        precompute(folder, Reader.open_bundle(folder, check=False))
    return World(root, environment, bases)


def processes() -> Any:
    """Where processes come from: forked from a small server that has everything imported, in milliseconds each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def enter(environment: dict[str, str], state: Path) -> None:
    """At the beginning of a process: reach the server, keep downloads apart, send files in small parts."""
    os.environ.update(environment | {"NIGHTREEL_STATE": str(state), "AWS_EC2_METADATA_DISABLED": "true"})
    s3_upload.PART_BYTES = PART_BYTES


@contextmanager
def entered(environment: dict[str, str], state: Path) -> Iterator[None]:
    """The same for this process, taken back at the end."""
    before, part = dict(os.environ), s3_upload.PART_BYTES
    enter(environment, state)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        s3_upload.PART_BYTES = part


def send(store: Store, folder: Path) -> Published:
    """Publish a bundle over what is live, as a run does."""
    seen = channels.live(store)
    champion = seen.digest if seen else None
    record = {"recipe": folder.name, "published_at": "2026-11-22T01:00:00+00:00"}
    return publish(store, folder, channel="live", champion=champion, lineage=record)


@contextmanager
def by_way_of(endpoint: str) -> Iterator[None]:
    """Stores that are opened meanwhile reach the server there, for good."""
    before = os.environ["AWS_ENDPOINT_URL"]
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    try:
        yield
    finally:
        os.environ["AWS_ENDPOINT_URL"] = before
