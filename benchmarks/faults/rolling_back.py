"""Time and calls of a rollback, with few and with many versions kept; and what is served afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass

from benchmarks.faults.proxy import Answer, Asked, Forward, Proxy
from benchmarks.faults.readers import answers
from benchmarks.faults.world import Row, World, by_way_of, entered, send
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.s3 import S3Store

FEW, MANY = 4, 24


@dataclass(frozen=True)
class Measured:
    """Of rollbacks with so many versions in the store. calls, listed: requests, and keys that they listed, of one;
    equal: how many gave just the answers of the version's first time live; blocked: how many blocked the recipe."""

    versions: int
    done: int
    longest_s: float
    calls: int
    listed: int
    equal: int
    blocked: int


def campaign(world: World) -> list[Row]:
    """Back to each kept version by its digest, and to the predecessor, with few and with many versions."""
    with entered(world.environment, world.root / "state"), Proxy(world.environment["AWS_ENDPOINT_URL"]) as proxy:
        few, many = (_measured(world, proxy, versions) for versions in (FEW, MANY))
    return [
        *(row for each in (few, many) for row in _rows(each)),
        Row("  calls of the store and keys listed, with few and many versions",
            f"{few.calls}, {few.listed} · {many.calls}, {many.listed}", "equal",
            (few.calls, few.listed) == (many.calls, many.listed)),
    ]  # fmt: skip


def _rows(each: Measured) -> list[Row]:
    return [
        Row(f"rollbacks with {each.versions} versions kept", f"{each.done}", "", True),
        Row("  longest", f"{1000 * each.longest_s:.0f} ms", "1,000 ms", each.longest_s < 1),
        Row("  with the version's own answers", f"{each.equal}", f"{each.done}", each.equal == each.done),
        Row("  that blocked the recipe left", f"{each.blocked}", f"{each.done}", each.blocked == each.done),
    ]  # fmt: skip


def _measured(world: World, proxy: Proxy, versions: int) -> Measured:
    uri = world.uri(f"rollback-{versions}")
    store, first = S3Store(uri), 5000 + 100 * versions
    told: dict[str, str] = {}
    for n in range(versions):
        folder = world.bundle(first + n)
        sent = send(store, folder).digest
        told[sent] = digest(Reader.open(uri))
        shutil.rmtree(folder)
    order, spent, counted = list(told), [], [0, 0]
    seen: list[tuple[int, int]] = []

    def count(asked: Asked, forward: Forward) -> Answer:
        answer = forward()
        counted[0] += 1
        counted[1] += answer.body.count(b"<Contents>")
        return answer

    with by_way_of(proxy.url):
        watched = S3Store(uri)
    channels.live(watched)  # its connection is open: what is measured is the rollback
    equal = blocked = 0
    targets: list[str | None] = [None, order[0][:12], order[versions // 2]]
    for target in targets:
        counted[:] = [0, 0]
        proxy.set(count)
        began = time.perf_counter()
        left, now = channels.rollback(watched, "live", target)
        spent.append(time.perf_counter() - began)
        seen.append((counted[0], counted[1]))
        equal += digest(Reader.open(uri)) == told[now]
        recipe = channels.lineage(store, left)["recipe"]
        blocked += recipe in channels.blocked(store)
        channels.release(store, left)
        blocked -= recipe in channels.blocked(store)
    return Measured(
        versions, len(targets), max(spent), max(each[0] for each in seen), max(each[1] for each in seen), equal, blocked
    )


def digest(reader: Reader) -> str:
    """Of a version's answers."""
    told = json.dumps([reader.digest, answers(reader)])
    return hashlib.sha256(told.encode()).hexdigest()
