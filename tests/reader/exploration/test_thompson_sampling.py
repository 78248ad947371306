"""Exploration that learns: repeatable for a day, within all rights and limits, and with true propensities."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.assembly import write_histories
from nightreel.bundle.format import BundleError
from nightreel.data.contract.verdicts import code_of
from nightreel.data.histories import Histories
from nightreel.reader.exploration import thompson_sampling
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.reader.results import Recommendation
from nightreel.store.withdrawals_file import ByHand, Withdrawals
from tests.support.bundles import UNTIL, reseal, write_bundle
from tests.support.explored_bundle import ITEMS, write_explored

DAY = 86_400.0
NONE = RequestOptions(explore=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items by four creators; i004 is blocked."""
    folder = tmp_path_factory.mktemp("explored") / "bundle"
    write_explored(folder, blocked=(4,))
    table = pq.read_table(folder / "items.parquet")
    table = table.append_column("creators", [[[f"c{i % 4}"] for i in range(ITEMS)]])
    pq.write_table(table, folder / "items.parquet")
    reseal(folder)
    precompute(folder, Reader.open_bundle(folder))
    return folder


@pytest.fixture(scope="module")
def reader(folder: Path) -> Reader:
    return Reader.open_bundle(folder, now=lambda: UNTIL)


def drawn(listed: list[Recommendation]) -> list[str]:
    return [each.item_id for each in listed if each.reason == "explored"]


def told(listed: list[Recommendation]) -> list[tuple[str, str, float]]:
    """To be compared: an explored item's score is NaN."""
    return [(each.item_id, each.reason, each.propensity) for each in listed]


def seeds(reader: Reader, n: int, user: str = "u000", k: int = 10, **options: object) -> list[list[Recommendation]]:
    return [reader.recommend(user, k=k, options=RequestOptions(seed=seed, **options)) for seed in range(n)]  # type: ignore[arg-type]


def test_a_list_is_the_same_all_day_and_another_with_day_user_and_seed(reader: Reader) -> None:
    def lists(*users: str, at: float = UNTIL, seed: int = 0) -> list[list[tuple[str, str, float]]]:
        wish = RequestOptions(seed=seed, explore=0.9)
        return [told(reader.recommend(user, k=10, rights_at=at, options=wish)) for user in users]

    morning = UNTIL // DAY * DAY
    first = lists("u000", at=morning)
    assert first == lists("u000", at=morning + DAY - 1) != lists("u000", at=morning + DAY)
    assert first != lists("u000", at=morning, seed=1)
    assert len({tuple(each) for each in lists("nobody", "nobody else", "someone new")}) == 3
    past = list(reader.items.ids[:3])
    by_history = [told(reader.recommend(history=past[:n], k=10)) for n in (3, 3, 2)]
    assert by_history[0] == by_history[1] != by_history[2]


def test_the_versions_share_holds_where_a_request_names_none(reader: Reader, folder: Path, tmp_path: Path) -> None:
    plain = write_bundle(tmp_path / "plain", items=ITEMS, blocked=(4,))
    without = Reader.open_bundle(tmp_path / "plain")
    assert without.digest == plain and without.exploration is None
    for user in ("u000", "u001", "nobody", None):
        own = reader.recommend(user, k=10, options=NONE)
        assert own == without.recommend(user, k=10) == without.recommend(user, k=10, options=NONE)
        assert all(each.propensity == 1 for each in own)
    number = [len(drawn(each)) for each in seeds(reader, 200)]
    assert np.mean(number) == pytest.approx(0.3 * 10, abs=0.3) and set(number) > {2, 3, 4}
    assert np.mean([len(drawn(each)) for each in seeds(reader, 200, explore=0.1)]) == pytest.approx(1, abs=0.25)
    precomputed = reader.recommend_users(["u000"], k=10)["item_id"].to_pylist()
    assert precomputed == [each.item_id for each in reader.recommend("u000", k=10, options=NONE)]


def test_only_what_is_little_known_and_may_be_shown_is_drawn(reader: Reader) -> None:
    for user in ("u000", "u001", "nobody"):
        found = Counter(item for each in seeds(reader, 100, user) for item in drawn(each))
        rows = {int(item[1:]) for item in found}
        row = int(reader.users.rows([user])[0])
        assert len(rows) > 3 and all(i % 3 for i in rows) and 4 not in rows
        assert not rows & set(reader.users.seen.row(row).items.tolist())
    by_taste = Counter(int(item[1:]) % 2 for each in seeds(reader, 100) for item in drawn(each))
    assert by_taste[0] > 5 * by_taste[1], "what fits the user's history"
    liked = Counter(
        int(item[1:]) % 2 for each in seeds(reader, 100, "nobody", skipped=("i000",)) for item in drawn(each)
    )
    assert liked[1] > 5 * liked[0], "and not what is like something skipped"


def test_a_withdrawn_item_is_never_drawn(reader: Reader) -> None:
    often = Counter(item for each in seeds(reader, 50) for item in drawn(each)).most_common(3)
    gone = {item: {"since": "2026-01-01"} for item, _ in often}
    held = reader.under(Withdrawals(by_hand=ByHand(items=gone)))
    left = [item for each in seeds(held, 50) for item in drawn(each)]
    assert left and not set(left) & set(gone)


def test_what_a_user_disliked_is_never_drawn_also_where_seen_items_may_be(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bundle")
    before = Reader.open_bundle(tmp_path / "bundle")
    found = Counter(item for seed in range(50) for item in drawn(unseen(before, seed))).most_common(3)
    rows = [before.items.require(item) for item, _ in found]
    users = before.user_ids.to_pylist()
    said = Histories.from_rows([(rows, [UNTIL] * len(rows)) if user == "u000" else ((), ()) for user in users])
    codes = np.full(len(said.items), code_of("dislike"), np.int8)
    write_histories(tmp_path / "bundle/negatives", replace(said, verdicts=codes))
    reseal(tmp_path / "bundle")
    reader = Reader.open_bundle(tmp_path / "bundle")
    left = {reader.items.require(item) for seed in range(50) for item in drawn(unseen(reader, seed))}
    assert left and not left & set(rows)


def unseen(reader: Reader, seed: int) -> list[Recommendation]:
    """A list of u000 that may have what was seen."""
    return reader.recommend("u000", k=10, exclude_seen=False, options=RequestOptions(seed=seed))


def test_filters_pins_caps_and_buried_items_hold(reader: Reader) -> None:
    for listed in seeds(reader, 40, explore=0.8, genres=("Sci-Fi",), exclude=("i001",), buried=("i005",)):
        rows = [int(each.item_id[1:]) for each in listed]
        assert all(i % 2 for i in rows) and not {1, 5} & {int(item[1:]) for item in drawn(listed)}
    pins = ("i058", "i059")
    for listed in seeds(reader, 40, explore=1.0, pinned=pins):
        assert tuple(each.item_id for each in listed[:2]) == pins
        assert [each.propensity for each in listed[:2]] == [1.0, 1.0] and len(drawn(listed)) == 8
    for listed in seeds(reader, 40, explore=0.5, max_per_creator=3, diversity=0.5):
        assert max(Counter(int(each.item_id[1:]) % 4 for each in listed).values()) <= 3
        assert not any(np.isnan(each.propensity) for each in listed)


def test_pages_have_each_item_once(reader: Reader) -> None:
    wish = RequestOptions(explore=0.6)
    pages = [reader.recommend("u001", k=6, offset=offset, options=wish) for offset in range(0, 60, 6)]
    ids = [each.item_id for page in pages for each in page]
    every = reader.recommend("u001", k=ITEMS, options=NONE)
    assert len(ids) == len(set(ids)) and set(ids) == {each.item_id for each in every}
    assert (
        drawn(pages[0])
        and drawn(pages[1])
        and told(pages[1]) == told(reader.recommend("u001", k=6, offset=6, options=wish))
    )


def test_propensities_are_the_frequencies_of_many_days(reader: Reader) -> None:
    shown: defaultdict[str, list[float]] = defaultdict(list)
    days = 600
    for day in range(days):
        for each in reader.recommend("u000", k=5, rights_at=UNTIL + day * DAY):
            shown[each.item_id].append(each.propensity)
    logged = {item: float(np.mean(chances)) for item, chances in shown.items()}
    assert len(logged) > 15 and any(chance < 0.2 for chance in logged.values())
    for item, chance in logged.items():
        error = 4 * np.sqrt(chance * (1 - chance) / days) + 0.005
        assert len(shown[item]) / days == pytest.approx(chance, abs=error), item


def test_the_law_of_places_and_ranks_by_hand() -> None:
    draws = np.array([[3.0, 1.0], [2.0, 3.0], [1.0, 2.0]], np.float32)  # three candidates, two draws
    order, chances = thompson_sampling._ranked(draws, np.array([0.25, 0.5, 0.25]))
    assert order.tolist() == [0, 1]  # of the first draw
    assert chances.tolist() == [0.75 / 2, (0.75 + 0.25) / 2, 0.25 / 2]
    assert thompson_sampling.places_drawn(10, 1.0, 30).tolist() == [0.0] * 10 + [1.0]
    assert thompson_sampling.places_drawn(10, 0.1, 0).tolist() == [1.0]
    for free, share, candidates in ((10, 0.1, 32), (200, 0.05, 32), (3, 0.9, 1)):
        number = thompson_sampling.places_drawn(free, share, candidates)
        assert number.sum() == pytest.approx(1) and len(number) <= candidates + 1 and (number >= 0).all()
        if len(number) > 5:
            assert number @ np.arange(len(number)) == pytest.approx(free * share, rel=1e-3)


def test_an_explored_item_says_so(reader: Reader) -> None:
    listed = reader.recommend("u000", k=10, options=RequestOptions(explore=0.9), reasons=True)
    shown = [each for each in listed if each.reason == "explored"]
    assert shown and all(np.isnan(each.score) and 0 < each.propensity < 1 for each in shown)
    assert {(each.reasons[0].kind, len(each.reasons)) for each in shown} == {("explored", 1)}


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("rows", lambda a: a[:-1], r"known.npy: is float32 \[40\] instead of float32 \[39\]"),
        ("rows", lambda a: a + ITEMS, "rows.npy: holds .*, but only 0 to 59 can stand there"),
        ("shrink", lambda a: a - 1, "shrink.npy: holds a number that is not from 0 to 1"),
        ("deviation", lambda a: -a, "deviation.npy: holds a number that is not at least 0"),
        ("content", lambda a: a * np.float32(np.nan), "content.npy: holds a number that is not finite"),
        ("factor", lambda a: a.astype(np.float64), "factor.npy: is float64"),
        ("effect", None, "lacks a file .*effect.npy"),
    ],
)  # fmt: skip
def test_a_malformed_array_is_refused_by_name(
    folder: Path, tmp_path: Path, name: str, change: object, why: str
) -> None:
    shutil.copytree(folder, tmp_path / "bundle")
    path = tmp_path / "bundle" / "exploration" / f"{name}.npy"
    array = np.load(path)
    path.unlink()
    if change is not None:
        np.save(path, change(array))  # type: ignore[operator]
    reseal(tmp_path / "bundle")
    with pytest.raises(BundleError, match=why):
        Reader.open_bundle(tmp_path / "bundle")
