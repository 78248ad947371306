"""Lists for newcomers with and without the table `users`, on made-up logs.

    python -m benchmarks.newcomers            # ten logs, about a minute
    python -m benchmarks.newcomers --logs 3

Made up: what users take depends on an item's popularity, which fades from its day on, on how their country, their age
band and they themselves like its genre, and on whether it is local to a country. Languages follow from the country,
plan is chance, and half of all users chose labels: two genres that they like. Users come all the time. Those of the
last 30 days are held out: the log that is delivered has no event of theirs, the table `users` has their rows. Each
gets the list of `reader.recommend(user)` of a version that was refitted on the delivered log, and is judged by the
first five items that they took. "Without" is the same version's list for an unknown user. Then the same with the rows
of the table shuffled among users, where the table has to stay out by itself. Popularity is the only other model,
which is all that a newcomer's list needs.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from nightreel.bundle.assembly import refit
from nightreel.data.dataset import load_dataset
from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.validation import ndcg
from nightreel.models.baselines.popularity import Popularity, PopularityConfig
from nightreel.models.catalogue import catalogue_of
from nightreel.models.newcomers.context import ContextLog
from nightreel.models.newcomers.selection import choose
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from tests.support.datasets import prepare

COUNTRIES = {"US": 0.35, "DE": 0.25, "FR": 0.15, "PL": 0.12, "PT": 0.08, "AT": 0.05}
SPOKEN = {"US": "en", "DE": "de|en", "FR": "fr", "PL": "pl|en", "PT": "pt|en", "AT": "de"}
BANDS = ("under 18", "18-24", "25-34", "35-54", "55 and over")
GENRES = ("Action", "Comedy", "Crime", "Drama", "Family", "Horror", "Romance", "Science")
BEGIN, DAYS, HELD_OUT, DAY = 1_767_225_600, 180, 30, 86_400
FADES, LOCAL = 60.0, 0.3  # days after which an item is taken half as often; share of items that are local
OF_COUNTRY, OF_BAND, OF_USER, OF_LOCAL = 0.8, 0.6, 0.8, 1.5  # in the logarithm of the odds
K, FIRST, REPLICATES = 10, 5, 2000
PARAMS = SelectedParams(
    members={"popularity": {"half_life_days": 30.0, "buckets": 128}}, blend="popularity", columns=(), cutoff=100,
    half_life_days=(30.0,), buckets=128, encoder="base", moment="data_until",
)  # fmt: skip
Row = list[str]


@dataclass(frozen=True)
class World:
    """A made-up log. taken: items of each user, in order; times: epoch seconds, likewise."""

    items: list[Row]
    people: list[Row]
    taken: list[list[int]]
    times: list[list[int]]


def made_up(rng: np.random.Generator, users: int, items: int) -> World:
    """A world by the rules above."""
    genre, born = rng.integers(len(GENRES), size=items), rng.uniform(-120, DAYS - HELD_OUT, items)
    fame = rng.normal(0, 1.2, items)
    home = np.where(rng.random(items) < LOCAL, rng.integers(len(COUNTRIES), size=items), -1)
    by_country = rng.normal(0, OF_COUNTRY, (len(COUNTRIES), len(GENRES)))
    by_band = rng.normal(0, OF_BAND, (len(BANDS), len(GENRES)))
    country = rng.choice(len(COUNTRIES), users, p=list(COUNTRIES.values()))
    band, day = rng.integers(len(BANDS), size=users), np.sort(rng.uniform(0, DAYS, users))
    people, taken, times = [], [], []
    for user in range(users):
        own = rng.normal(0, OF_USER, len(GENRES))
        taste = by_country[country[user]] + by_band[band[user]] + own
        likes = taste[genre] + OF_LOCAL * (home == country[user]) - OF_LOCAL * ((home >= 0) & (home != country[user]))
        age = day[user] - born
        odds = np.where(age >= 0, np.exp(fame + likes) * 0.5 ** (age / FADES), 0.0)
        n = 3 + rng.poisson(6)
        taken.append(rng.choice(items, n, replace=False, p=odds / odds.sum()).tolist())
        late = np.sort(np.concatenate([[0.0], rng.exponential(5.0, n - 1)])) + day[user]
        times.append((BEGIN + DAY * np.minimum(late, DAYS)).astype(int).tolist())
        mine = np.argsort(-taste)[: 2 if rng.random() < 0.5 else 0]
        place = list(COUNTRIES)[country[user]]
        labels = "|".join(GENRES[each] for each in mine)
        people.append([place, BANDS[band[user]], SPOKEN[place], str(rng.choice(["free", "paid"])), labels])
    return World([[f"i{n}", f"Film {n}", GENRES[genre[n]]] for n in range(items)], people, taken, times)


def delivered(folder: Path, world: World, people: list[Row]) -> list[int]:
    """Write the source without the events of newcomers; returns these."""
    folder.mkdir(parents=True)
    until = BEGIN + DAY * (DAYS - HELD_OUT)
    new = [user for user, times in enumerate(world.times) if times[0] >= until]
    known = [(f"u{user}", f"i{item}", str(time), "play")
             for user, (own, times) in enumerate(zip(world.taken, world.times, strict=True))
             for item, time in zip(own, times, strict=True) if time < until]  # fmt: skip
    _write(folder / "items.csv", ["item_id", "title", "genres"], world.items)
    _write(folder / "events.csv", ["user_id", "item_id", "timestamp", "event"], [list(row) for row in known])
    header = ["user_id", "country", "age_band", "languages", "plan", "labels"]
    _write(folder / "users.csv", header, [[f"u{user}", *row] for user, row in enumerate(people)])
    return new


def _write(path: Path, header: Row, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def published(folder: Path, source: Path) -> Reader:
    """A version of the source, as a night's stages make it, with popularity alone beside what is selected here."""
    data = load_dataset(prepare(folder / "night", source) / "data/validate")
    vectors = np.ones((data.n_items, 1), np.float32)
    fold = data.protocols[data.gate][0]
    parts = ("train", "valid")
    config = PopularityConfig.model_validate(PARAMS.members["popularity"])
    popular = Popularity.fit(data.positives(fold, parts), catalogue_of(data.items, vectors), config, clock=True)
    log = ContextLog.of(data, fold, parts)
    choices = PARAMS.model_copy(update={"newcomers": choose(log, popular, ndcg, np.random.default_rng(0))})
    facts = {"name": "made up", "pseudonymised": False, "key_fingerprint": None}
    refit(data, choices, vectors, facts, folder / "bundle")
    return Reader.open_bundle(folder / "bundle")


def scores(reader: Reader, world: World, new: list[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[n] NDCG@10 of each newcomer's list without and with the table."""
    targets = Histories.from_rows([(sorted(world.taken[user][:FIRST]), [0.0] * FIRST) for user in new
                                   if len(world.taken[user]) >= FIRST])  # fmt: skip
    able = [user for user in new if len(world.taken[user]) >= FIRST]
    plain = reader.recommend(k=K)
    lists = ([plain] * len(able), [reader.recommend(f"u{user}", k=K) for user in able])
    without, own = (np.array([[int(each.item_id[1:]) for each in row] for row in part], np.int32) for part in lists)
    return ndcg(without, targets), ndcg(own, targets)


def main() -> None:
    """Make, publish, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=10)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--items", type=int, default=600)
    asked = parser.parse_args()
    table = Table("the table `users`", "logs", "kept in", "columns", "newcomers", "NDCG@10 without", "with",
                  "difference [95%]")  # fmt: skip
    for name in ("as made", "rows shuffled"):
        pairs, kept = [], list[tuple[str, ...]]()
        for seed in range(asked.logs):
            rng = np.random.default_rng(seed)
            world = made_up(rng, asked.users, asked.items)
            rows = [world.people[at] for at in rng.permutation(asked.users)] if name != "as made" else world.people
            with tempfile.TemporaryDirectory(prefix="nightreel-users-") as scratch:
                new = delivered(Path(scratch) / "source", world, rows)
                with contextlib.redirect_stdout(io.StringIO()):
                    reader = published(Path(scratch), Path(scratch) / "source")
                pairs.append(scores(reader, world, new))
                kept.append(tuple(n for n, _ in reader.newcomers.segments.columns) if reader.newcomers else ())
        without, own = (np.concatenate(part) for part in zip(*pairs, strict=True))
        gap = mean_interval(own - without, REPLICATES, np.random.default_rng(0))
        columns = Counter(column for each in kept for column in each)
        table.add_row(
            name, str(asked.logs), str(sum(map(bool, kept))), ", ".join(f"{c} {n}" for c, n in columns.most_common()),
            f"{len(own):,}", f"{without.mean():.4f}", f"{own.mean():.4f}",
            f"{gap.point:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]",
        )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
