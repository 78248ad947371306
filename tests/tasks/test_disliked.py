"""What users disliked or skipped in the log moves the lists of the next night, and stays away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.reader.reader import Reader
from tests.support.datasets import START, items_table, prepare
from tests.tasks.test_finetune_and_refit import CHANGES, trained

pytestmark = pytest.mark.end_to_end
USERS, ITEMS, BEFORE, AFTER = 240, 80, 8, 4
NEW = range(USERS - 24, USERS)  # users of the last day: they have not yet shown which taste they go on with
Row = tuple[str, str, float, str]


def item(number: int) -> str:
    return f"i{number:03d}"


def rows(turned_down: str) -> list[Row]:
    """Everybody takes to items of both tastes, then turns four of one taste down; all later events are of the other.

    Only what was turned down tells which taste it will be: what was taken before is even. turned_down: by whom:
    "nobody", "others" (than the new ones), "everybody".
    """
    rng, found = np.random.default_rng(5), list[Row]()
    for user in range(USERS):
        name, begin = f"u{user:03d}", START.timestamp() + 86_400.0 * (user % 40)
        order = rng.permutation(ITEMS)
        even = [i for i in order if i % 2 == 0], [i for i in order if i % 2 == 1]
        taken = [even[n % 2][n // 2] for n in range(BEFORE)]
        found += [(name, item(i), begin + 600.0 * n, "play") for n, i in enumerate(taken)]
        avoided = user // 2 % 2
        if turned_down == "everybody" or (turned_down == "others" and user not in NEW):
            refused = even[avoided][BEFORE : BEFORE + 4]
            kinds = ("dislike", "skip")
            found += [(name, item(i), begin + 600.0 * (BEFORE + n), kinds[n % 2]) for n, i in enumerate(refused)]
        if user not in NEW:
            later = even[1 - avoided][BEFORE : BEFORE + AFTER]
            found += [(name, item(i), begin + 600.0 * (20 + n), "play") for n, i in enumerate(later)]
    return found


def night(folder: Path, events: list[Row]) -> Path:
    """A workspace after finetune, evaluate and refit."""
    columns = list(zip(*events, strict=True))
    seconds = pa.array(np.array(columns[2]).astype(np.int64)).cast(pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    (folder / "source").mkdir(parents=True)
    named = {"user_id": columns[0], "item_id": columns[1], "timestamp": seconds, "event": columns[3]}
    pq.write_table(pa.table(named), folder / "source/events.parquet")
    pq.write_table(items_table([item(i) for i in range(ITEMS)]), folder / "source/items.parquet")
    work = prepare(folder / "work", folder / "source", CHANGES | {"validate.protocols": "leave_last_out"})
    return trained(work)


def avoided_share(reader: Reader) -> float:
    """Share of the avoided taste in the lists of the new users."""
    shares = []
    for user in NEW:
        listed = [int(each.item_id[1:]) for each in reader.recommend(f"u{user:03d}", k=10)]
        shares.append(np.mean([i % 2 == user // 2 % 2 for i in listed]))
    return float(np.mean(shares))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {who: night(tmp_path_factory.mktemp(who), rows(who)) for who in ("nobody", "others", "everybody")}


def test_the_next_nights_lists_avoid_what_is_like_the_disliked(nights: dict[str, Path]) -> None:
    shares = {who: avoided_share(Reader.open_bundle(work / "data/refit/bundle")) for who, work in nights.items()}
    assert 0.35 < shares["others"] < 0.65, "without dislikes of their own, both tastes are alike to them"
    assert shares["everybody"] < shares["others"] - 0.2, shares


def test_what_was_disliked_is_never_listed_again(nights: dict[str, Path]) -> None:
    reader = Reader.open_bundle(nights["everybody"] / "data/refit/bundle")
    against, disliked = reader.histories.negatives, reader.histories.disliked
    assert against is not None and disliked is not None and len(against.items) == 2 * len(disliked.items) == 4 * USERS
    for row in range(0, USERS, 5):
        listed = {each.item_id for each in reader.recommend(f"u{row:03d}", k=ITEMS)}
        assert not listed & {reader.items.ids[i] for i in against[row][0]}, "skips count as seen"
    assert Reader.open_bundle(nights["nobody"] / "data/refit/bundle").histories.negatives is None
