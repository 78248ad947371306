"""A reader that follows a channel in a separate process and gets requests without a pause."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.faults.world import World, enter, processes
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader

CLIENTS, PAUSE_S, LOOK_S = 2, 0.04, 0.05


@dataclass
class Tally:
    """mixed: answers that are not wholly one version's; failed: questions without an answer; refused: versions that
    the reader found torn or changed; told: faults that it reported."""

    asked: int = 0
    mixed: int = 0
    failed: int = 0
    refused: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    digest: str = ""


def answers(reader: Reader) -> list[Any]:
    """A known user's list, a history's, neighbours and a search: they touch every part of a version."""
    found: list[Any] = [
        *reader.recommend("u0000003", k=8), *reader.recommend(history=["i1", "i20", "i33"], k=8),
        *reader.similar("i7", 5), *reader.search("story genre3", 3),
    ]  # fmt: skip
    return [(each.item_id, round(float(each.score), 5)) for each in found]


class Clients:
    """Threads that ask `live` until they are stopped, and compare with what each version has to answer."""

    def __init__(self, live: LiveReader, bases: tuple[Path, ...]) -> None:
        self._live, self.tally, self._stop = live, Tally(), threading.Event()
        self._right = [answers(Reader.open_bundle(folder, check=False)) for folder in bases]
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        tally = self.tally
        while not self._stop.wait(PAUSE_S):
            reader, status = self._live.reader, self._live.status
            tally.asked += 1
            try:
                tally.mixed += answers(reader) != self._right[reader.config["base"]]
            except Exception as error:  # whatever it is, somebody got no answer
                tally.failed += 1
                tally.told.add(repr(error))
            tally.digest = reader.digest
            if status.fault:
                tally.told.add(status.fault)
            if status.refused:
                tally.refused.add(status.refused)

    def stop(self) -> Tally:
        """What was counted."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.tally


def follow(connection: Any, uri: str, environment: dict[str, str], state: Path, bases: tuple[Path, ...]) -> None:
    """The process: tells its tally when asked, until it is told to end."""
    enter(environment, state)
    with LiveReader(uri, every_s=LOOK_S) as live:
        clients = Clients(live, bases)
        while connection.recv():
            connection.send(clients.tally)
        connection.send(clients.stop())


class Readers:
    """One such process, while entered."""

    def __init__(self, world: World, uri: str) -> None:
        context = processes()
        self._connection, theirs = context.Pipe()
        state = world.root / "reader" / uri.rpartition("/")[2]
        arguments = (theirs, uri, world.environment, state, world.bases)
        self._process = context.Process(target=follow, args=arguments, daemon=True)

    def tally(self) -> Tally:
        """As of now."""
        self._connection.send(True)
        told: Tally = self._connection.recv()
        return told

    def reach(self, digest: str, seconds: float = 30.0) -> bool:
        """Wait until this version is served; whether it was in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.tally().digest == digest:
                return True
            time.sleep(0.01)
        return False

    def end(self) -> Tally:
        """The last tally; the process ends."""
        self._connection.send(False)
        told: Tally = self._connection.recv()
        return told

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.join(5)
        self._process.kill()
