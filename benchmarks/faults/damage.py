"""Every file of a published version truncated and bit-flipped in turn: rejected by name, and the last good version is
served."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.readers import Clients
from benchmarks.faults.world import Row, World, entered, send
from nightreel.bundle.format import LINEAGE, digest_of
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.s3 import S3Store

Damage = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Without its end."""
    return content[: rng.randrange(len(content))]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """With one bit turned over."""
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


KINDS: dict[str, Damage] = {"cut": cut, "bit flipped": flipped}


@dataclass
class Counts:
    """wrong: cases in which the version was taken, or refused without its file's name, or not taken when it was whole
    again; local: files damaged on the reader's disk; disk: how many of them were fetched anew."""

    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    wrong: list[str] = field(default_factory=list)
    disk: int = 0
    local: int = 0


def campaign(world: World, most: int | None = None, seed: int = 0) -> list[Row]:
    """All files of a version, or a sample of `most`, in the store and on the reader's own disk; and the pointer."""
    counts, rng, uri = Counts(), random.Random(seed), world.uri("damage")
    with entered(world.environment, world.root / "reader" / "damage"):
        store, good, other = S3Store(uri), world.bundle(1000), world.bundle(1001)
        send(store, good)
        send(store, other)
        first, second = digest_of(good), digest_of(other)
        keys = [*store.list(f"versions/{second}/"), "channels/live.json"]
        chosen = keys if most is None else rng.sample(keys, most)
        _point(store, first)
        with LiveReader(uri, start=False) as live:
            clients = Clients(live, world.bases)
            for key in chosen:
                for kind, damage in KINDS.items():
                    _in_the_store(store, live, key, kind, damage(store.get(key), rng), (first, second), counts)
            _on_the_disk(uri, second, world.root / "reader" / "damage", chosen, rng, counts)
            tally = clients.stop()
    for fault in counts.wrong:
        print(fault)
    damaged = sum(counts.files.values())
    return [
        *(Row(f"files of a stored version {kind}", f"{n}", f"{len(chosen)}", n == len(chosen))
          for kind, n in counts.files.items()),
        Row("  refused by name or harmless, the last good version served, whole again taken",
            f"{damaged - len(counts.wrong)}", f"{damaged}", not counts.wrong),
        Row("  questions of readers meanwhile", f"{tally.asked:,}", "constant load", tally.asked > 0),
        Row("  wrong or failed answers", f"{tally.mixed + tally.failed}", "0", tally.mixed + tally.failed == 0),
        Row("files of a downloaded version damaged on the reader's disk", f"{counts.local}", "", counts.local > 0),
        Row("  fetched anew", f"{counts.disk}", f"{counts.local}", counts.disk == counts.local),
    ]  # fmt: skip


def _in_the_store(
    store: S3Store, live: LiveReader, key: str, kind: str, content: bytes, digests: tuple[str, str], counts: Counts
) -> None:
    """Damage a key, point the channel to its version, look, repair, look again, go back."""
    first, second = digests
    pointer = key.startswith("channels/")
    if not pointer:
        sound = store.get(key)
        store.put(key, content)
        _point(store, second)
    else:
        _point(store, second)
        sound = store.get(key)
        store.put(key, content)
    shutil.rmtree(_cached(second), ignore_errors=True)
    live.refresh()
    status, name = live.status, key.removeprefix(f"versions/{second}/")
    refused = status.digest == first and status.fault is not None and (pointer or name in status.fault)
    harmless = name == LINEAGE and status.digest == second  # not of the version's content: it is whole
    counts.files[kind] += 1
    if not (refused or harmless):
        counts.wrong.append(f"{name} {kind}: serves {status.digest[:12]}, reports {status.fault}")
    store.put(key, sound)
    _point(store, first)
    live.refresh()
    _point(store, second)
    live.refresh()
    if live.status.digest != second or live.status.age_s() is None:
        counts.wrong.append(f"{name} {kind}: whole again, but not taken: {live.status.fault}")
    _point(store, first)
    live.refresh()


def _on_the_disk(uri: str, digest: str, state: Path, keys: list[str], rng: random.Random, counts: Counts) -> None:
    """A reader that opens a damaged copy of its own has to take the store's."""
    folder = _cached(digest)
    Reader.open(uri, version=digest)
    for key in keys:
        path = folder / key.removeprefix(f"versions/{digest}/")
        if not path.is_file():  # the lineage and the pointer are not downloaded
            continue
        path.write_bytes(flipped(path.read_bytes(), rng))
        counts.local += 1
        counts.disk += Reader.open(uri, version=digest).digest == digest == digest_of(folder)


def _cached(digest: str) -> Path:
    return Path(os.environ["NIGHTREEL_STATE"]) / "cache" / "bundles" / digest


def _point(store: S3Store, digest: str) -> None:
    seen = channels.live(store)
    if seen is None or seen.digest != digest:
        channels.move(store, "live", digest, previous=None, seen=seen)
