"""Publishers that start at the same time, round after round: exactly one of them may move the channel."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.kills import KEPT, whole
from benchmarks.faults.world import Row, World, enter, entered, processes
from nightreel.bundle.format import digest_of, seal
from nightreel.store import channels, retention
from nightreel.store.backends.s3 import S3Store
from nightreel.store.publisher import StaleChallenger, publish

RACERS = 8
COLLECTED = 10  # rounds between two collections of old versions


@dataclass
class Counts:
    """one: rounds with exactly one winner, whose version is live, one generation on; by: wins of each racer; other:
    ends of a publisher that are neither a win, a loss, nor a loss to the same version."""

    rounds: int = 0
    one: int = 0
    torn: int = 0
    by: Counter[int] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)


def racer(connection: Any, start: Any, number: int, uri: str, environment: dict[str, str], root: Path) -> None:
    """A publisher's process. The last two have the same version."""
    enter(environment, root / "state")
    store = S3Store(uri)
    while (told := connection.recv()) is not None:
        turn, champion = told
        folder = root / f"racer{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "answers.json").write_text(json.dumps({"round": turn, "racer": min(number, RACERS - 2)}))
        seal(folder, {"round": turn})
        start.wait()
        try:
            done = publish(store, folder, channel="live", champion=champion, lineage={"recipe": f"{turn} {number}"})
            how = "won" if done.moved else "twin"
        except StaleChallenger:
            how = "lost"
        except Exception as error:
            how = repr(error)
        connection.send((how, digest_of(folder)))


def campaign(world: World, rounds: int) -> list[Row]:
    """Eight publishers; the channel's state after each round is read by a ninth."""
    uri, counts, context = world.uri("races"), Counts(), processes()
    start, pipes, racing = context.Barrier(RACERS), [context.Pipe() for _ in range(RACERS)], []
    for number, (_, theirs) in enumerate(pipes):
        arguments = (theirs, start, number, uri, world.environment, world.root / "races")
        racing.append(context.Process(target=racer, args=arguments, daemon=True))
        racing[-1].start()
    with entered(world.environment, world.root / "state"):
        store = S3Store(uri)
        for turn in range(rounds):
            _round(store, turn, [ours for ours, _ in pipes], counts, world.root / "looked-at")
            if turn % COLLECTED == COLLECTED - 1:
                retention.collect(store, retention.plan(store, KEPT), KEPT)
    for (ours, _), process in zip(pipes, racing, strict=True):
        ours.send(None)
        process.join(10)
    others = sum(counts.other.values())
    for how, times in counts.other.items():
        print(f"{times} publishers of a race ended with {how}")
    return [
        Row(f"rounds of {RACERS} racing publishers", f"{counts.rounds}", f"{rounds}", counts.rounds >= rounds),
        Row("  with exactly one winner, whose version is live", f"{counts.one}", f"{rounds}", counts.one == rounds),
        Row("  different winners", f"{len(counts.by)}", "", True),
        Row("  torn versions in the channel", f"{counts.torn}", "0", counts.torn == 0),
        Row("  losers told anything but `stale challenger`", f"{others}", "0", others == 0),
    ]


def _round(store: S3Store, turn: int, pipes: list[Any], counts: Counts, scratch: Path) -> None:
    before = channels.live(store)
    for pipe in pipes:
        pipe.send((turn, before.digest if before else None))
    ends = [pipe.recv() for pipe in pipes]
    winners = [number for number, (how, _) in enumerate(ends) if how == "won"]
    after = channels.live(store)
    counts.rounds += 1
    counts.by.update(winners)
    counts.other.update(how for how, _ in ends if how not in ("won", "twin", "lost"))
    if after is not None and len(winners) == 1:
        generation = before.generation if before else 0
        counts.one += after.digest == ends[winners[0]][1] and after.generation == generation + 1
    counts.torn += after is None or not whole(store, after.digest, scratch)
