"""The trade-off of the sliders: NDCG@10, diversity and novelty of lists over the sliders' values.

    python -m benchmarks.models.tradeoff                 # in a checkout after `nightreel run`
    python -m benchmarks.models.tradeoff --checkout DIR

The candidate bundle recommends to the test users as the reader does with these options: maximal marginal relevance over
its best 100 candidates. So the first row is what the verdict measured. The use is counted as a read of the test split.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nightreel.data.dataset import load_dataset
from nightreel.data.histories import FloatArray, ItemArray
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.metrics.diversity import diversity, genre_distance, vector_distance
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.test_reads import count_read
from nightreel.evaluation.test_set import TestSet, build_test_set
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.reader.slates.diversify import freshness
from nightreel.reader.slates.slate import POOL, compose
from nightreel.stage import read_json, state_directory

K = 10
VALUES = tuple(n / 10 for n in range(11))


@dataclass(frozen=True)
class Point:
    """Means over users at one value of a slider. ndcg: [n] of each user; genres, content: mean distance of a list's
    pairs, 1 - Jaccard and (1 - cosine) / 2; covered: share of the catalogue in any list; newer: mean share of the
    catalogue that is older than an item."""

    value: float
    ndcg: FloatArray
    genres: float
    content: float
    covered: float
    newer: float


def candidates(reader: Reader, asked: TestSet) -> tuple[ItemArray, FloatArray]:
    """[n, POOL] each user's best items and their scores."""
    found = reader.recommend_many(asked.histories, moments=asked.moments, exclude=asked.exclude, k=POOL)
    return found.items, found.scores.astype(np.float64)


def lists(reader: Reader, pools: tuple[ItemArray, FloatArray], wishes: RequestOptions) -> ItemArray:
    """[n, K] as the reader answers each user's wish, padded with -1."""
    years = np.asarray(reader.engine.catalogue.years, np.float64)
    listed = np.full((len(pools[0]), K), -1, np.int32)
    for row, (items, scores) in enumerate(zip(*pools, strict=True)):
        kept = items >= 0
        if wishes.reorders:
            items = compose(
                items[kept], scores[kept], K, wishes, table=reader.items, facets=reader.facets, vectors=reader.vectors,
                years=years, hidden=reader.standing().hidden,
            ).items  # fmt: skip
        else:
            items = items[kept][:K]
        listed[row, : len(items)] = items
    return listed


def curve(reader: Reader, asked: TestSet, slider: str, values: Sequence[float] = VALUES) -> list[Point]:
    """A point for each value of `diversity` or `freshness`."""
    pools, points = candidates(reader, asked), []
    by_genre, by_content = genre_distance(reader.items.genres), vector_distance(np.asarray(reader.vectors))
    fresh = freshness(np.asarray(reader.engine.catalogue.years, np.float64))
    for value in values:
        listed = lists(reader, pools, RequestOptions(**{slider: value}))  # type: ignore[arg-type]
        points.append(
            Point(
                value,
                per_user(listed, asked.truth, [K])[f"ndcg@{K}"],
                diversity(listed, by_genre),
                diversity(listed, by_content),
                coverage(listed, len(reader.items)),
                float(fresh[listed[listed >= 0]].mean()),
            )
        )
    return points


def show(slider: str, points: Sequence[Point], name: str) -> None:
    """A table; the loss is that of the mean, with the 95% interval of the paired difference."""
    table = Table(title=f"{slider}, {len(points[0].ndcg):,} users of {name}", title_justify="left")
    for column in (slider, "NDCG@10", "against 0", "95%", "unlike by genre", "by content", "coverage", "newer than"):
        table.add_column(column, justify="right")
    base = points[0].ndcg
    for point in points:
        lost = (point.ndcg - base) / base.mean()
        wide = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
        table.add_row(
            f"{point.value:.1f}", f"{point.ndcg.mean():.4f}", f"{lost.mean():+.1%}",
            f"{lost.mean() - wide:+.1%} to {lost.mean() + wide:+.1%}", f"{point.genres:.3f}", f"{point.content:.3f}",
            f"{point.covered:.3f}", f"{point.newer:.0%}",
        )  # fmt: skip
    Console(width=120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=Path(), help="where data/ is (default: here)")
    folder: Path = parser.parse_args().checkout / "data"
    if not (folder / "finetune" / "candidate").is_dir():
        parser.error(f"{folder}: holds no rehearsed bundle. First: nightreel run.")
    data = load_dataset(folder / "validate")
    cuts = read_json(folder / "validate" / "splits.json")["protocols"][data.gate]["cuts"]
    asked = build_test_set(data, data.protocols[data.gate][0], cuts[0][1] if cuts else None)
    reader = Reader.open_bundle(folder / "finetune" / "candidate")
    count_read(state_directory(), data.split_digest[data.gate], "sliders' trade-off")
    for slider in ("diversity", "freshness"):
        show(slider, curve(reader, asked, slider), f"{reader.config.get('name')}, {data.gate}")


if __name__ == "__main__":
    main()
