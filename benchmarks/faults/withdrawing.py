"""Withdrawals at the worst moments: during a night, in one that is rejected or dies, before a rollback, two at once,
and with a damaged file. A withdrawn item must appear nowhere, and the night must continue.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.faults.damage import KINDS, Damage
from benchmarks.faults.world import Row, World, entered
from nightreel.bundle.format import digest_of
from nightreel.cli.versions.withdrawn_ids import Named, withdraw
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.s3 import S3Store
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import NightlyTables, TableRights, WithdrawalsError, key_of
from nightreel.withdrawals.nightly import hold

NOW = 1_790_000_000.0
FIRST = 7000  # of the versions that this campaign publishes


@dataclass
class Case:
    """One store with a version that is live, and what is to be withdrawn from it."""

    world: World
    uri: str
    number: int

    def __post_init__(self) -> None:
        self.store = S3Store(self.uri)
        folder = self.world.bundle(self.number)
        reader = Reader.open_bundle(folder, check=False)
        self.user = str(reader.user_ids[0])
        self.gone = tuple(each.item_id for each in reader.recommend(self.user, k=2))
        self.told = NightlyTables(TableRights(tuple(sorted(reader.items.ids))))
        self.champion = digest_of(folder)
        publish(self.store, folder, channel="live", champion=None, lineage={"recipe": "first"}, tonight=self.told)

    def by_hand(self) -> None:
        """Withdraw the items and the user."""
        withdraw(self.store, None, Named(self.gone, (self.user,)))

    def night(self) -> str:
        """What is left of a night after its first stages: publish; returns the digest."""
        folder = self.world.bundle(self.number + 1)
        done = publish(
            self.store, folder, channel="live", champion=self.champion, lineage={"recipe": "night"}, tonight=self.told
        )
        return done.digest

    def holds(self) -> bool:
        """Whether nobody who opens the channel or a version of it is shown or known what was withdrawn."""
        return all(self._hides(Reader.open(self.uri, version=each)) for each in (None, *channels.versions(self.store)))

    def _hides(self, reader: Reader) -> bool:
        found = {each.item_id for user in (self.user, None) for each in reader.recommend(user, k=80)}
        found |= {each.item_id for each in reader.similar(self.gone[0], 80)}
        found |= {each.item_id for each in reader.recommend(history=[self.gone[0]], k=80)}
        return not found & set(self.gone) and not reader.knows([self.user])[0]


def during_a_night(case: Case) -> bool:
    """Given between the night's withdraw stage and its publication, which comes all the same."""
    hold(case.store, "live", case.told, NOW, None)
    case.by_hand()
    return case.night() == channels.resolve(case.store, "live", None) and case.holds()


def on_a_rejected_night(case: Case) -> bool:
    """The night's tables say it, and nothing is published."""
    rights = TableRights(case.told.items.catalogue, blocked=tuple(sorted(case.gone)))
    hold(case.store, "live", NightlyTables(rights, erased=(case.user,)), NOW, None)
    return channels.resolve(case.store, "live", None) == case.champion and case.holds()


def on_a_night_that_dies(case: Case) -> bool:
    """Given by hand; the night is gone before it publishes, and the next one says nothing of it."""
    hold(case.store, "live", case.told, NOW, None)
    case.by_hand()
    hold(case.store, "live", case.told, NOW, None)
    return case.holds() and case.night() == channels.resolve(case.store, "live", None) and case.holds()


def before_a_rollback(case: Case) -> bool:
    """The version before knew nothing of it."""
    case.night()
    case.by_hand()
    return channels.rollback(case.store, "live")[1] == case.champion and case.holds()


def two_at_once(case: Case) -> bool:
    """From two machines; both hold."""
    start, ends = threading.Barrier(2), []

    def one(named: Named) -> None:
        store = S3Store(case.uri)
        start.wait()
        withdraw(store, None, named)
        ends.append(named)

    threads = [threading.Thread(target=one, args=(each,)) for each in (Named(case.gone, ()), Named((), (case.user,)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(ends) == 2 and case.holds()


def torn(damage: Damage, case: Case) -> bool:
    """The file is damaged after it was taken over: open readers go on, new ones refuse; whole again it holds."""
    case.by_hand()
    pointer = channels.live(case.store)
    assert pointer is not None and pointer.withdrawals is not None
    key, sound = key_of(pointer.withdrawals), case.store.get(key_of(pointer.withdrawals))
    with LiveReader(case.uri, start=False) as following:
        case.store.put(key, damage(sound, random.Random(case.number)))
        withdrawn = following.refresh() is False and case._hides(following.reader)
        try:
            Reader.open(case.uri)
            return False
        except WithdrawalsError as error:
            named = key in str(error)
    case.store.put(key, sound)
    return withdrawn and named and case.holds()


CASES: dict[str, Callable[[Case], bool]] = {
    "given between a night's first stages and its publication": during_a_night,
    "told by the tables of a night that is rejected": on_a_rejected_night,
    "given on a night that dies": on_a_night_that_dies,
    "given before a rollback": before_a_rollback,
    "two given at once": two_at_once,
    **{f"with its file {kind}": partial(torn, damage) for kind, damage in KINDS.items()},
}


def campaign(world: World, rounds: int = 3) -> list[Row]:
    """Each case some times, in a store of its own."""
    rows = []
    with entered(world.environment, world.root / "state"):
        for place, (name, case) in enumerate(CASES.items()):
            held = 0
            for turn in range(rounds):
                number = FIRST + 100 * place + 2 * turn
                held += case(Case(world, world.uri(f"withdrawing-{place}-{turn}"), number))
            rows.append(Row(f"withdrawals {name}, that hold on every door", f"{held}", f"{rounds}", held == rounds))
    return rows
