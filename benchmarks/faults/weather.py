"""A store that is unreachable, slow, full, rejects, fails or disconnects: clear errors for publishers, none for
readers."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import botocore.auth

from benchmarks.faults.kills import whole
from benchmarks.faults.proxy import Answer, Asked, Fault, Forward, Proxy, cut
from benchmarks.faults.readers import Clients
from benchmarks.faults.world import Row, World, by_way_of, enter, processes, send
from nightreel.bundle.format import digest_of
from nightreel.errors import UserError
from nightreel.reader.live_reader import LiveReader
from nightreel.store import channels
from nightreel.store.backends import s3
from nightreel.store.backends.s3 import S3Store

HANG_S, SLOW_S = 1.0, 0.05
SKEW = dt.timedelta(hours=3)
_XML = {"Content-Type": "application/xml"}


def refusing(status: int, code: str) -> Fault:
    """Every request is answered with an S3 error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    return lambda asked, forward: Answer(status, _XML, b"" if asked.method == "HEAD" else body)


def down(asked: Asked, forward: Forward) -> None:
    """Nobody answers."""


def hanging(asked: Asked, forward: Forward) -> None:
    """The answer takes longer than anybody waits."""
    time.sleep(3 * HANG_S)


def slow(asked: Asked, forward: Forward) -> Answer:
    """Every answer is late."""
    time.sleep(SLOW_S)
    return forward()


def breaking(asked: Asked, forward: Forward) -> Answer | None:
    """Requests arrive, and their answers break off in the middle."""
    answer = forward()
    return cut(answer) if answer.body else None


def stranger(asked: Asked, forward: Forward) -> Answer:
    """Another web server has the address and is pleased with whatever it is asked."""
    return Answer(200, {"Content-Type": "text/html"}, b"<html><body>Welcome</body></html>")


@dataclass(frozen=True)
class Kind:
    """fault: None where the clock is what is wrong; told: a publisher's message holds one of these, empty: the publish
    succeeds; heard: whether the reader notices."""

    name: str
    fault: Fault | None
    told: tuple[str, ...]
    heard: bool = True


KINDS = (
    Kind("down", down, ("can't be reached",)),
    Kind("hanging", hanging, ("timed out",)),
    Kind("slow", slow, (), heard=False),
    Kind("full (507)", refusing(507, "XMinioStorageFull"), ("full",)),
    Kind("full (500)", refusing(500, "InternalError"), ("full",)),
    Kind("403", refusing(403, "AccessDenied"), ("refused the credentials",)),
    Kind("500", refusing(500, "InternalError"), ("failed",)),
    Kind("503", refusing(503, "SlowDown"), ("failed",)),
    Kind("breaking off", breaking, ("can't be reached", "failed")),
    Kind("another server", stranger, ("is not an S3 server",)),
    Kind("clock 3 hours off", None, ("clock",)),
)


@dataclass
class Counts:
    """Of one kind. unclear: publishes that ended otherwise than they should, with what was said."""

    name: str
    publishes: int = 0
    unclear: list[str] = field(default_factory=list)
    torn: int = 0
    stuck: int = 0
    asked: int = 0
    failed: int = 0
    silent: int = 0
    behind: int = 0


def campaign(world: World, places: int, names: Sequence[str] | None = None) -> list[Row]:
    """Each kind in a process of its own, beginning at so many calls of a publish. names: of some kinds only."""
    names = [kind.name for kind in KINDS] if names is None else names
    with processes().Pool(min(3, len(names))) as pool:
        found: list[Counts] = pool.starmap(observe, [(world, name, places) for name in names], chunksize=1)
    for each in found:
        for told in each.unclear:
            print(f"{each.name}: {told}")
    return [row for each in found for row in _rows(each, _kind(each.name))]


def _rows(each: Counts, kind: Kind) -> list[Row]:
    clear, bad = each.publishes - len(each.unclear), each.failed + each.torn
    said = "publishes that succeeded" if not kind.told else "publishes stopped by a clear error"
    return [
        Row(f"store {each.name}: {said}", f"{clear}", f"{each.publishes}", clear == each.publishes),
        Row("  of readers' questions meanwhile, failed or mixed", f"{bad} of {each.asked:,}", "0",
            bad == 0 and each.asked > 0),
        Row("  unreported by the reader, or a next publish failed or not followed",
            f"{each.silent + each.stuck + each.behind}", "0", each.silent + each.stuck + each.behind == 0),
    ]  # fmt: skip


def observe(world: World, name: str, places: int) -> Counts:
    """The process: one kind's publishes and the reader meanwhile."""
    kind = _kind(name)
    slug = "".join(letter for letter in name if letter.isalnum())
    enter(world.environment, world.root / "reader" / slug)
    s3.READ_S = HANG_S
    counts, store, first = Counts(name), S3Store(world.uri(f"weather-{slug}")), 2000 + 100 * KINDS.index(kind)
    for n in range(2):
        send(store, world.bundle(first + n))
    endpoint = world.environment["AWS_ENDPOINT_URL"]
    with Proxy(endpoint) as publishing, Proxy(endpoint) as reading:
        with by_way_of(publishing.url):
            publisher = S3Store(store.uri)
        with by_way_of(reading.url):
            live = LiveReader(store.uri, start=False)
        clients = Clients(live, world.bases)
        send(publisher, world.bundle(first + 2))
        calls = publishing.number() - 1
        for n, place in enumerate(sorted({1 + (calls - 1) * at // max(1, places - 1) for at in range(places)}), 3):
            folder = world.bundle(first + n)
            with _bad(kind, publishing, reading, place):
                _publish(publisher, folder, kind, counts)
                live.refresh()
                counts.silent += (live.status.fault is not None) != kind.heard
            _recover(store, folder, live, counts)
        tally = clients.stop()
        counts.asked, counts.failed = tally.asked, tally.failed + tally.mixed
    return counts


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


@contextmanager
def _bad(kind: Kind, publishing: Proxy, reading: Proxy, place: int) -> Iterator[None]:
    """The fault, from the publisher's call `place` on and for the reader at once; it is over at the end."""

    def late(asked: Asked, forward: Forward) -> Answer | None:
        return kind.fault(asked, forward) if kind.fault and asked.number >= place else forward()

    true_clock = botocore.auth.get_current_datetime
    if kind.fault is None:
        botocore.auth.get_current_datetime = lambda *given: true_clock(*given) - SKEW
    publishing.set(late)
    reading.set(kind.fault)
    try:
        yield
    finally:
        botocore.auth.get_current_datetime = true_clock
        publishing.set(None)
        reading.set(None)


def _publish(publisher: S3Store, folder: Path, kind: Kind, counts: Counts) -> None:
    counts.publishes += 1
    try:
        send(publisher, folder)
        if kind.told:
            counts.unclear.append("no error")
    except UserError as error:
        if not any(words in str(error) for words in kind.told):
            counts.unclear.append(str(error))
    except Exception as error:  # a traceback is not clear
        counts.unclear.append(repr(error))


def _recover(store: S3Store, folder: Path, live: LiveReader, counts: Counts) -> None:
    """Good weather again: what is live is whole, the next publish succeeds, and the reader follows."""
    seen = channels.resolve(store, "live", None)
    counts.torn += not whole(store, seen, Path(os.environ["NIGHTREEL_STATE"]) / "looked-at")
    send(store, folder)
    digest = digest_of(folder)
    counts.stuck += channels.resolve(store, "live", None) != digest
    live.refresh()
    counts.behind += live.status.digest != digest
