"""The gate proves itself: planted regressions that it has to stop, and A/A pairs that it has to let pass.

    python -m benchmarks.gate                                   # 100 of each at every number of users
    python -m benchmarks.gate --repeats 20 --users 1000,20000

The generator. Each user has one wanted item in a catalogue of 20,011, ten seen ones, and attributes that make the
slices. A model puts the wanted item at rank floor(exp(3.63 + 1.9·t)) of the user's list, where t is standard normal:
about one user in four finds it among the first ten, at an NDCG@10 of about 0.13, as on MovieLens. Two trainings of a
model that differ in their seed share the user's part of t: their t correlate by `--agreement`. The other places of a
list hold items of the user's own, none of them seen. Every repeat draws all users anew. Planted:

    A/A                   the same model, trained with another seed
    5% loss               each hit is lost with probability 0.05
    broken slice          one language of five (a tenth of the users) loses a fifth of its hits; all others gain as much
    popularity collapse   every hit stays, but all other places hold the same ten items: accuracy can't tell
    leaked seen items     in one list of a hundred the last place holds a seen item
    NaN scores            one list of a thousand has a score that is no number
    stale data            the data end three days before the champion's

What decides is tasks.evaluation.gate.judge with the rules of params.yaml: the very code that `evaluate` runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from tasks.data.histories import Histories, ItemArray
from tasks.evaluation.champion import Champion, Comparison
from tasks.evaluation.checks import Hidden, faults
from tasks.evaluation.gate import Evidence, Gate, judge
from tasks.evaluation.ranking import Truth, per_user
from tasks.evaluation.scores import GATE_METRIC, Scores
from tasks.evaluation.slices import Slice, values
from tasks.evaluation.trial import Trial
from tasks.evaluation.verdict import Verdict
from tasks.models.choices import Choices
from tasks.settings import load

ITEMS = 20_011  # a prime: the steps below then meet an item once
MEDIAN, SPREAD, K = 3.63, 1.9, 10
DAY, NOW = 86_400.0, 1_700_000_000.0
USERS = (300, 1000, 3000, 10_000, 20_000)
LANGUAGES = (("en", 0.5), ("es", 0.2), ("de", 0.12), ("pt", 0.1), ("fr", 0.08))
OTHERS = {"device": 4, "region": 6, "activity": 3, "user since": 3}
LEAST_STOPPED, MOST_SAME = 0.99, 0.10
Tally = dict[str, Counter[str]]  # plant → verdict → how often
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """n users. own: [n, 30] items of each: 0–9 fill the list, 10 is wanted, 20–29 are seen; difficulty: [n] the user's
    part of t; language: [n]."""

    own: ItemArray
    difficulty: Floats
    language: npt.NDArray[np.str_]
    slices: list[Slice]
    trial: Trial

    def __len__(self) -> int:
        return len(self.own)


def world(n: int, rng: np.random.Generator) -> World:
    """n users, drawn anew."""
    start, step = rng.integers(0, ITEMS, n), rng.integers(1, ITEMS, n)
    own = ((start[:, None] + step[:, None] * np.arange(30)) % ITEMS).astype(np.int32)
    names, shares = zip(*LANGUAGES, strict=True)
    language = rng.choice(np.array(names), n, p=shares)
    told = values("language", [[each] for each in language.tolist()])
    for by, parts in OTHERS.items():
        told += values(by, [[f"{by} {part}"] for part in rng.integers(0, parts, n).tolist()])
    indptr = np.arange(n + 1, dtype=np.int64) * 10
    seen = Histories(indptr, own[:, 20:].ravel(), np.tile(np.arange(10.0), n))
    truth = Truth(np.arange(n, dtype=np.int64) * ITEMS + own[:, 10], np.ones(n, np.int64), ITEMS)
    trial = Trial("fold", np.arange(n, dtype=np.int64), seen, seen, np.full(n, NOW), truth, np.zeros(ITEMS), 0)
    return World(own, rng.normal(size=n), language, told, trial)


def ranks(asked: World, agreement: float, rng: np.random.Generator, worse: float = 0.0) -> Ints:
    """[n] the rank from 0 at which a training of the model puts each wanted item; worse: added to every t."""
    t = np.sqrt(agreement) * asked.difficulty + np.sqrt(1 - agreement) * rng.normal(size=len(asked)) + worse
    return np.floor(np.exp(np.minimum(MEDIAN + SPREAD * t, 20))).astype(np.int64)


def lists(asked: World, rank: Ints) -> ItemArray:
    """[n, 10]: the wanted item at its rank, the user's own items in all other places."""
    place, at = np.arange(K), rank[:, None]
    moved = np.take_along_axis(
        asked.own, np.where(place > at, place - 1, np.broadcast_to(place, (len(rank), K))), axis=1
    )
    return np.where(place == at, asked.own[:, 10:11], moved).astype(np.int32)


@dataclass(frozen=True)
class Night:
    """What a challenger brings: its lists, which of them have finite scores, and how late its data end."""

    lists: ItemArray
    sound: npt.NDArray[np.bool_]
    data_until: float


Plant = Callable[[World, Ints, Night, np.random.Generator], Night]
"""(world, ranks of the sound challenger, its night, generator) → the night with the regression."""


def loss(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """5% of the hits are lost."""
    return replace(night, lists=lists(asked, np.where(rng.random(len(rank)) < 0.05, K, rank)))


def broken_slice(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """A fifth of the hits in one language are lost, and as many won elsewhere, at ranks of the hits there are."""
    inside, hit = asked.language == "pt", rank < K
    lost = inside & hit & (rng.random(len(rank)) < 0.2)
    free, known = np.flatnonzero(~inside & ~hit), rank[hit]
    won = rng.choice(free, min(int(lost.sum()), len(free)), replace=False)
    changed = np.where(lost, K, rank)
    changed[won] = rng.choice(known, len(won)) if len(known) else K
    return replace(night, lists=lists(asked, changed))


def collapse(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """All places but the hit hold the same items, where the user has not seen them."""
    popular = np.broadcast_to(np.arange(K, dtype=np.int32), night.lists.shape)
    taken = (popular[:, :, None] == asked.own[:, None, :]).any(axis=2)
    kept = (np.arange(K) == rank[:, None]) | taken
    return replace(night, lists=np.where(kept, night.lists, popular))


def leak(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """One list of a hundred ends with a seen item."""
    changed = night.lists.copy()
    rows = rng.choice(len(rank), max(len(rank) // 100, 1), replace=False)
    changed[rows, K - 1] = asked.own[rows, 20]
    return replace(night, lists=changed)


def no_numbers(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """One list of a thousand has a score that is no number."""
    sound = night.sound.copy()
    sound[rng.choice(len(rank), max(len(rank) // 1000, 1), replace=False)] = False
    return replace(night, sound=sound)


def stale(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """The data end three days before the champion's."""
    return replace(night, data_until=NOW - 3 * DAY)


PLANTS: dict[str, Plant] = {
    "A/A": lambda asked, rank, night, rng: night, "5% loss": loss, "broken slice": broken_slice,
    "popularity collapse": collapse, "leaked seen items": leak, "NaN scores": no_numbers, "stale data": stale,
}  # fmt: skip
CHOICES = Choices(
    members={}, blend="fusion", columns=(), cutoff=K, shortlist=K, half_life_days=(), buckets=1, encoder="base",
    moment="last_event",
)  # fmt: skip
IDS = tuple(str(item) for item in range(ITEMS))
CHAMPION = Champion("c" * 64, {"clock": "time", "data_until": NOW}, IDS, "films", CHOICES, {}, None)


def verdict(gate: Gate, plant: Plant, n: int, agreement: float, rng: np.random.Generator) -> Verdict:
    """One challenger, with a regression planted in it, against a champion of the same model and another seed."""
    asked = world(n, rng)
    theirs, rank = lists(asked, ranks(asked, agreement, rng)), ranks(asked, agreement, rng)
    night = plant(asked, rank, Night(lists(asked, rank), np.ones(n, bool), NOW), rng)
    popular = lists(asked, ranks(asked, agreement, rng, worse=0.6))
    found = {
        name: per_user(each, asked.trial.truth, [K]) for name, each in (("blend", night.lists), ("popularity", popular))
    }
    open_to_all = Hidden(np.zeros(ITEMS, bool), np.full(ITEMS, np.inf))
    scores = Scores(
        users=asked.trial.users, folds=["fold"] * n, values=found, lists={"blend": night.lists}, beyond={},
        faults={"blend": faults(asked.trial, night.lists, night.sound, open_to_all)}, cold=0,
    )  # fmt: skip
    evidence = Evidence(scores, asked.slices, [], night.data_until, "time", "d" * 64, IDS, "films")
    own, champion = found["blend"][GATE_METRIC], per_user(theirs, asked.trial.truth, [K])[GATE_METRIC]
    fair = Comparison("c", asked.trial.users, asked.trial.users, own, champion, theirs)
    return judge(gate, evidence, CHAMPION, blocked=False, compare=lambda _: fair).verdict


def main() -> None:
    """Run every plant at every number of users, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--users", type=lambda text: tuple(map(int, text.split(","))), default=USERS)
    parser.add_argument("--agreement", type=float, default=0.9, help="correlation of t between two seeds")
    asked = parser.parse_args()
    settings = load()
    gate = Gate(settings.evaluate, settings.finetune.seed)
    counts = {n: tally(gate, n, asked.repeats, asked.agreement) for n in asked.users}
    console = Console(width=120)
    for n, labels in counts.items():
        console.print(details(n, labels, asked.repeats))
    console.print(curve(counts, asked.repeats))


def tally(gate: Gate, n: int, repeats: int, agreement: float) -> Tally:
    """Each plant's verdicts at n users."""
    labels: Tally = {name: Counter() for name in PLANTS}
    for repeat in range(repeats):
        for number, (name, plant) in enumerate(PLANTS.items()):
            found = verdict(gate, plant, n, agreement, np.random.default_rng([repeat, number, n]))
            labels[name][f"{found.decision}: {found.label}"] += 1
    return labels


def share(counts: Counter[str], word: str, repeats: int) -> float:
    """Of all verdicts, those that hold a word."""
    return sum(count for label, count in counts.items() if word in label) / repeats


def details(n: int, labels: Tally, repeats: int) -> Table:
    """What was decided at n users, and why; the bars are for 20,000."""
    table = Table(title=f"{n:,} test users, {repeats} of each", title_justify="left")
    for column in ("planted", "stopped", "bar", "met", "verdicts"):
        table.add_column(column, justify="right" if column == "stopped" else "left")
    for name, counts in labels.items():
        stopped, same = share(counts, "hold", repeats), name == "A/A"
        met = stopped <= MOST_SAME if same else stopped >= LEAST_STOPPED
        bar = f"at most {MOST_SAME:.0%}" if same else f"at least {LEAST_STOPPED:.0%}"
        shown = (bar, "yes" if met else "NO") if n >= USERS[-1] else ("", "")
        table.add_row(
            name, f"{stopped:.0%}", *shown, ", ".join(f"{what} {many}" for what, many in counts.most_common())
        )
    return table


def curve(counts: dict[int, Tally], repeats: int) -> Table:
    """Stopped, by number of users; and how often the gate said that it could not tell."""
    table = Table(title="Stopped, by number of test users (in brackets: let pass as unproven)", title_justify="left")
    table.add_column("planted")
    for n in counts:
        table.add_column(f"{n:,}", justify="right")
    for name in PLANTS:
        cells = [
            f"{share(each[name], 'hold', repeats):.0%} ({share(each[name], 'unproven', repeats):.0%})"
            for each in counts.values()
        ]
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()
