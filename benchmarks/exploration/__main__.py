"""What exploration finds and costs, on a made-up platform with a clock (benchmarks/exploration/clocked_world.py).

    python -m benchmarks.exploration                            # some minutes for each world
    python -m benchmarks.exploration --worlds 1 --nights 6      # a short one

Every night a version is trained on the log so far, with places for new items as usual, and every user gets its list on
the day that follows, through the Reader: without exploration, with random candidates, and with learned draws. All three
see the same worlds and differ in what they show, and so in what they learn from. Then, on the last version:

    propensities    how often an item is in a user's list over many days, against what is logged
    off-policy      the value of other lists, estimated from the log of an exploring version, against the truth
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.exploration.clocked_world import BEGIN, DAY, ClockedWorld
from nightreel.bundle.assembly import assemble, known_events, write_exploration
from nightreel.bundle.clock import tonight
from nightreel.bundle.exploration import SHARE
from nightreel.bundle.format import read_manifest, seal
from nightreel.data.histories import IntArray
from nightreel.evaluation.logs.off_policy import Estimate, Impressions, estimate
from nightreel.evaluation.metrics.bootstrap import Draws
from nightreel.models.catalogue import catalogue_of
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.reader.results import Recommendation

K = 10
USERS, FIRST, DAILY, WARM_UP = 300, 300, 12, 5
DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))
FOUND_PLAYS, FOUND_NIGHTS = 10, 7
SHARES = (0.05, 0.1, 0.2)
CHOICES = SelectedParams(
    members={
        "popularity": {"half_life_days": 7.0, "buckets": 32},
        "ease": {"regularization": 100, "decay": 20, "top_weights": 256, "max_items": 10_000},
        "content_knn": {"decay": 10},
    },
    blend="fusion", columns=(), cutoff=100, shortlist=100, new_every=10, half_life_days=(7.0, 1000.0), buckets=32,
    encoder="base", moment="data_until",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One way to explore. learned: draws from the posterior, else random candidates; share: of places."""

    learned: bool
    share: float

    @property
    def name(self) -> str:
        if not self.share:
            return "none"
        return f"{'learned' if self.learned else 'random'} {self.share:g}"


ARMS = (Arm(True, 0.0), *(Arm(learned, share) for share in SHARES for learned in (False, True)))


@dataclass(eq=False)
class Run:
    """What one arm did in one world.

    Attributes:
        clicks: Expected plays per list, by night.
        today: Likewise, of the lists that the same versions give without exploration.
        ndcg: NDCG@10 of the lists with the true probabilities as gains, by night.
        plays: [items, nights since the item came] plays.
        shown: [items, nights since the item came] impressions.
    """

    plays: npt.NDArray[np.int64]
    shown: npt.NDArray[np.int64]
    clicks: list[float] = field(default_factory=list)
    today: list[float] = field(default_factory=list)
    ndcg: list[float] = field(default_factory=list)


def version(world: ClockedWorld, day: int, share: float, folder: Path) -> Reader:
    """The version of the night before a day, open; share: of learned exploration."""
    data = world.data(day)
    vectors = world.content[: data.n_items].astype(np.float32)
    known = known_events(data, None)
    engine = fit_engine(known[0], catalogue_of(data.items, vectors), CHOICES, clock=True)
    config = {"name": "made up", "pseudonymised": False, "key_fingerprint": None, "moment": tonight("time")}
    assemble(folder, data, engine, known, vectors, config)
    if share:
        write_exploration(folder, data, vectors)
        seal(folder, read_manifest(folder).config | {SHARE: share})
    return Reader.open_bundle(folder, check=False, now=lambda: BEGIN + (day + 0.5) * DAY)


def listed(reader: Reader, user: int, arm: Arm, seed: int) -> list[Recommendation]:
    """A user's list. seed: of random candidates."""
    at_random = RequestOptions(explore=arm.share, seed=seed)
    return reader.recommend(f"u{user:05d}", k=K, options=RequestOptions() if arm.learned else at_random)


def warm_up(world: ClockedWorld, rng: np.random.Generator) -> None:
    """Days before the first night, on which lists are drawn from the first items at random."""
    for day in range(-WARM_UP, 0):
        for user in range(len(world.tastes)):
            items = rng.choice(np.flatnonzero(world.born < 0), K, replace=False)
            world.show(user, items, np.full(K, K / FIRST), day, rng)


def rows_of(got: list[Recommendation]) -> IntArray:
    """[k] rows of a list's items."""
    return np.array([int(each.item_id[1:]) for each in got], np.int64)


def run(arm: Arm, seed: int, nights: int) -> tuple[ClockedWorld, Run]:
    """Run all nights of one arm in one world."""
    rng = np.random.default_rng(seed)
    world = ClockedWorld.made(USERS, FIRST, DAILY, nights, rng)
    warm_up(world, rng)
    n, chances = len(world.born), world.chances.copy()  # of what a user has not taken yet
    found = Run(np.zeros((n, nights), np.int64), np.zeros((n, nights), np.int64))
    for day in range(nights):
        clicks, today, ndcg = [], [], []
        with tempfile.TemporaryDirectory() as folder:
            reader = version(world, day, arm.share if arm.learned else 0.0, Path(folder) / "bundle")
            for user in range(USERS):
                got = listed(reader, user, arm, (seed * nights + day) * USERS + user)
                plain = rows_of(reader.recommend(f"u{user:05d}", k=K, options=RequestOptions(explore=0.0)))
                items, age = rows_of(got), day - np.maximum(world.born[rows_of(got)], 0)
                clicks.append(chances[user, items].sum())
                today.append(chances[user, plain].sum())
                best = np.sort(chances[user, : len(reader.items)])[::-1][:K]
                ndcg.append(float(chances[user, items] @ DISCOUNT / (best @ DISCOUNT)))
                took = world.show(user, items, np.array([each.propensity for each in got]), day, rng)
                chances[user, items[took]] = 0.0
                found.shown[items, age] += 1
                found.plays[items[took], age[took]] += 1
        for values, mean in ((found.clicks, clicks), (found.today, today), (found.ndcg, ndcg)):
            values.append(float(np.mean(mean)))
    return world, found


def show_arms(runs: dict[Arm, list[tuple[ClockedWorld, Run]]], nights: int, console: Console) -> None:
    """A row for each arm: means over worlds, with the standard error where there are several."""
    table = Table(title=f"{len(runs[ARMS[0]])} worlds, {nights} nights, {USERS} users; ± standard error over worlds")
    columns = ("exploration", "good ones found", "impressions: good", "bad", "plays per list", "on the day", "NDCG@10")
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for arm, own in runs.items():
        found, good, bad, plays, today, ndcg = [], [], [], [], [], []
        for world, one in own:
            old_enough = (world.born >= 0) & (world.born <= nights - FOUND_NIGHTS)
            early = one.plays[:, :FOUND_NIGHTS].sum(axis=1)
            shown = one.shown[:, :FOUND_NIGHTS].sum(axis=1)
            found.append(float((early[old_enough & world.good] >= FOUND_PLAYS).mean()))
            good.append(float(shown[old_enough & world.good].mean()))
            bad.append(float(shown[old_enough & ~world.good].mean()))
            plays.append(float(np.mean(one.clicks)))
            today.append(float(np.mean(one.clicks) / np.mean(one.today) - 1.0))
            ndcg.append(float(np.mean(one.ndcg)))
        table.add_row(
            arm.name, spread(found, "{:.1%}"), spread(good, "{:.1f}"), spread(bad, "{:.1f}"), spread(plays, "{:.3f}"),
            spread(today, "{:+.1%}"), spread(ndcg, "{:.3f}"),
        )  # fmt: skip
    console.print(table)


def spread(values: list[float], form: str) -> str:
    """A mean and its standard error, printed."""
    mean = form.format(float(np.mean(values)))
    return (
        mean if len(values) < 2 else f"{mean} ± {form.format(np.std(values, ddof=1) / len(values) ** 0.5).lstrip('+')}"
    )


def show_propensities(reader: Reader, days: int, users: int, console: Console) -> None:
    """How often items are in lists over many days, against what the lists say, by what they say on average."""
    told: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for user in range(users):
        for seed in range(days):
            got = reader.recommend(f"u{user:05d}", k=K, options=RequestOptions(seed=seed))
            for each in got:
                told[user, each.item_id].append(each.propensity)
    said = np.array([float(np.mean(chances)) for chances in told.values()])
    often = np.array([len(chances) / days for chances in told.values()])
    table = Table(title=f"Propensities: {users} users, {days:,} lists each, {len(said):,} pairs of user and item")
    for name in ("logged", "pairs", "mean logged", "mean frequency", "largest difference", "standard error of one"):
        table.add_column(name, justify="right")
    for low, high in pairwise((0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9, 1.1)):
        own = (said >= low) & (said < high)
        if own.any():
            mean = float(said[own].mean())
            one = np.sqrt(mean * max(1.0 - mean, 0.0) / days)
            table.add_row(
                f"{low:g} to {min(high, 1.0):g}", f"{own.sum():,}", f"{mean:.4f}", f"{often[own].mean():.4f}",
                f"{np.abs(said - often)[own].max():.4f}", f"{one:.4f}",
            )  # fmt: skip
    console.print(table)


def show_off_policy(world: ClockedWorld, reader: Reader, days: int, console: Console) -> None:
    """The value of lists in whose last places two explored items stand, from the log of the exploring version, against
    the truth."""
    rng, chances = np.random.default_rng(0), world.chances
    lists = np.full((USERS, K), -1, np.int32)
    columns: list[tuple[int, int, int, float, float]] = []
    for user in range(USERS):
        lists[user] = rows_of(reader.recommend(f"u{user:05d}", k=K, options=RequestOptions(explore=0.0)))
        for day in range(days):
            for each in reader.recommend(f"u{user:05d}", k=K, options=RequestOptions(seed=day)):
                item = int(each.item_id[1:])
                took = float(rng.random() < chances[user, item])
                columns.append((user, user * days + day, item, each.propensity, took))
        # Chosen from other lists than those of the log: else the items that happened to be shown would be overrated.
        others = (reader.recommend(f"u{user:05d}", k=K, options=RequestOptions(seed=days + n)) for n in range(10))
        drawn = Counter(int(each.item_id[1:]) for got in others for each in got if each.reason == "explored")
        often = [item for item, _ in drawn.most_common(2)]
        lists[user, K - len(often) :] = often
    user_of, slate, item_of, chance, response = (np.array(column) for column in zip(*columns, strict=True))
    truth = float(np.take_along_axis(chances, lists.astype(np.int64), axis=1).mean())
    table = Table(title=f"Off-policy: {USERS} users, {days} lists each; plays per place, with 95% intervals")
    for name in ("propensities", "truth", "logged", "IPS", "SNIPS", "DR", "support"):
        table.add_column(name, justify="right")
    draws = Draws(USERS, 1000, rng)
    for name, weights in (("as logged", chance), ("taken for 1", np.ones(len(chance)))):
        log = Impressions(user_of, slate, item_of, weights, response)
        found = estimate(log, lists, len(reader.items), draws.totals)
        assert isinstance(found, Estimate)
        shown = (found.logged, found.ips, found.snips, found.dr, found.support)
        table.add_row(name, f"{truth:.4f}", *(f"{each.point:.4f} [{each.low:.4f}, {each.high:.4f}]" for each in shown))
    console.print(table)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--nights", type=int, default=24)
    parser.add_argument("--days", type=int, default=600, help="lists of a user for the propensities")
    asked = parser.parse_args()
    console = Console(width=160)
    runs = {arm: [run(arm, seed, asked.nights) for seed in range(asked.worlds)] for arm in ARMS}
    show_arms(runs, asked.nights, console)
    world = runs[Arm(True, 0.2)][0][0]
    with tempfile.TemporaryDirectory() as folder:
        reader = version(world, asked.nights, 0.2, Path(folder) / "bundle")
        show_propensities(reader, asked.days, 20, console)
        show_off_policy(world, reader, asked.days // 20, console)


if __name__ == "__main__":
    main()
