"""kill -9 at every store call of a publisher: before the request arrives, in its middle, and before the response."""

from __future__ import annotations

import contextlib
import http.client
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.proxy import Answer, Asked, Fault, Forward, Proxy, send_head
from benchmarks.faults.readers import Readers
from benchmarks.faults.world import Row, World, enter, entered, processes, send
from nightreel.bundle.format import BundleError, digest_of
from nightreel.store import channels, retention
from nightreel.store.backends.s3 import S3Store
from nightreel.store.local_cache import download

MOMENTS = ("before", "within", "after")
KEPT = retention.Keep(versions=2, days=0.0, grace_hours=0.0)


@dataclass
class Counts:
    """killed: publishers; calls: of one publish; torn: versions in the channel that are not whole; strayed: channels on
    neither the old nor the new version; stuck: publishes after a kill that failed; behind: that no reader followed."""

    killed: int = 0
    calls: int = 0
    places: set[tuple[int, str]] = field(default_factory=set)
    torn: int = 0
    strayed: int = 0
    stuck: int = 0
    behind: int = 0


def publisher(uri: str, folder: Path, environment: dict[str, str], state: Path) -> None:
    """The process that is killed."""
    enter(environment, state)
    send(S3Store(uri), folder)


def campaign(world: World, kills: int, seed: int = 0) -> list[Row]:
    """At least so many kills, one after the other, each followed by the next publish, under readers' constant load."""
    uri, counts, rng = world.uri("kills"), Counts(), random.Random(seed)
    with entered(world.environment, world.root / "state"), Proxy(world.environment["AWS_ENDPOINT_URL"]) as proxy:
        store = S3Store(uri)
        for n in range(2):  # so that copies inside the store have a source
            send(store, world.bundle(n, large=True))
        with Readers(world, uri) as readers:
            counts.calls = _calls(world, uri, proxy, 2)
            for n, place in enumerate(_places(counts.calls, kills, rng), 3):
                _one(world, store, proxy, readers, n, place, counts)
            tally = readers.end()
    return [
        Row("publishers killed with -9", f"{counts.killed}", f"{kills}", counts.killed >= kills),
        Row("  different calls and moments of them", f"{len(counts.places)} of {counts.calls} x 3", "", True),
        Row("  questions of readers meanwhile", f"{tally.asked:,}", "constant load", tally.asked > 10 * kills),
        Row("  torn versions in the channel", f"{counts.torn + len(tally.refused)}", "0",
            counts.torn + len(tally.refused) == 0),
        Row("  channel on neither the old nor the new version", f"{counts.strayed}", "0", counts.strayed == 0),
        Row("  answers mixed from two versions", f"{tally.mixed}", "0", tally.mixed == 0),
        Row("  questions that failed", f"{tally.failed}", "0", tally.failed == 0),
        Row("  next publishes that failed", f"{counts.stuck}", "0", counts.stuck == 0),
        Row("  next versions that the reader did not follow", f"{counts.behind}", "0", counts.behind == 0),
    ]  # fmt: skip


def _calls(world: World, uri: str, proxy: Proxy, n: int) -> int:
    """Requests of one whole publish."""
    asked: list[int] = []

    def count(request: Asked, forward: Forward) -> Answer:
        asked.append(request.number)
        return forward()

    proxy.set(count)
    process = _start(world, uri, world.bundle(n, large=True), proxy)
    process.join()
    assert process.exitcode == 0, "a publish without a fault failed"
    return len(asked)


def _places(calls: int, kills: int, rng: random.Random) -> list[tuple[int, str]]:
    """Every call at every moment, from the last call on: lineage, manifest and swap are the delicate ones. A sample has
    those, and others by chance."""
    every = [(call, moment) for moment in MOMENTS for call in range(calls, 0, -1)]
    if kills >= len(every):
        return [every[n % len(every)] for n in range(kills)]
    last = [(call, rng.choice(MOMENTS)) for call in range(calls, max(0, calls - 3), -1)]
    rest = [place for place in every if place not in last]
    return (last + rng.sample(rest, kills))[:kills]


def _one(
    world: World, store: S3Store, proxy: Proxy, readers: Readers, n: int, place: tuple[int, str], counts: Counts
) -> None:
    folder = world.bundle(n, large=True)
    before = channels.resolve(store, "live", None)
    started: list[Any] = []
    proxy.set(_kill_at(*place, lambda: started[0].kill(), proxy.upstream))
    started.append(_start(world, store.uri, folder, proxy))
    started[0].join()
    if started[0].exitcode == -signal.SIGKILL:
        counts.killed += 1
        counts.places.add(place)
    after = channels.resolve(store, "live", None)
    new = digest_of(folder)
    counts.strayed += after not in (before, new)
    counts.torn += not whole(store, after, world.root / "looked-at")
    try:
        send(store, folder)
        counts.stuck += channels.resolve(store, "live", None) != new
    except Exception as error:
        counts.stuck += 1
        print(f"the publish after a kill {place[1]} call {place[0]} failed: {error!r}")
    counts.behind += not readers.reach(new)
    retention.collect(store, retention.plan(store, KEPT), KEPT)
    shutil.rmtree(folder)


def _start(world: World, uri: str, folder: Path, proxy: Proxy) -> Any:
    environment = world.environment | {"AWS_ENDPOINT_URL": proxy.url}
    process = processes().Process(target=publisher, args=(uri, folder, environment, world.root / "state"))
    process.start()
    return process


def _kill_at(number: int, moment: str, kill: Callable[[], None], upstream: tuple[str, int]) -> Fault:
    def fault(asked: Asked, forward: Forward) -> Answer | None:
        if asked.number < number:
            return forward()
        if asked.number == number:
            if moment == "after":
                forward()
            elif moment == "within":
                _half(asked, upstream)
            kill()
        return None

    return fault


def _half(asked: Asked, upstream: tuple[str, int]) -> None:
    """The server gets half of the request's body, then the connection ends."""
    connection = http.client.HTTPConnection(*upstream, timeout=60)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        send_head(connection, asked)
        connection.send(asked.body[: len(asked.body) // 2])


def whole(store: S3Store, digest: str, folder: Path) -> bool:
    """Whether a fresh download of a version is as it was sealed."""
    try:
        download(store, digest, folder)
    except BundleError as error:
        print(f"torn: {error}")
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True
