"""The clock walks over the edges of an item's rights, and every door of a reader shows it just while it may be shown."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle import editorial_rules
from nightreel.bundle.format import read_manifest, seal
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.errors import UserError
from nightreel.evaluation.test_set import padded
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from tests.support.bundles import DAY, UNTIL, reseal, write_bundle

OPENS, ENDS = UNTIL + 100 * DAY, UNTIL + 200 * DAY
WALK = [(UNTIL - 400 * DAY, False), (OPENS - 1, False), (OPENS, True), (ENDS - 1, True), (ENDS, False),
        (ENDS + 9000 * DAY, False)]  # fmt: skip


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = UNTIL

    def __call__(self) -> float:
        return self.at


def best(folder: Path) -> int:
    """The item that u000's list shows first."""
    return int(Reader.open_bundle(folder).recommend("u000", k=1)[0].item_id[1:])


@pytest.fixture(params=["time", "order"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[Reader, str, Hands]]:
    """A version whose best item may be shown from OPENS until ENDS, with and without stored lists."""

    def make(stored: bool, **options: Any) -> tuple[Reader, str, Hands]:
        until = {"clock": request.param, "data_until": UNTIL if request.param == "time" else 7.0}
        write_bundle(tmp_path / "plain", **until)
        item = best(tmp_path / "plain")
        folder = tmp_path / "bundle"
        write_bundle(folder, published={item: OPENS}, expires={item: ENDS}, **until, **options)
        if stored:
            precompute(folder, Reader.open_bundle(folder))
        hands = Hands()
        return Reader.open_bundle(folder, now=hands), f"i{item:03d}", hands

    return make


def doors(reader: Reader, item: str) -> dict[str, list[str]]:
    """What each door answers with: the ids of its items."""
    ids = reader.items.ids
    row = reader.users.histories.take([0])
    past = [ids[i] for i in row[0][0]]
    other = ids[int(reader.items.index_of(item) or 0) ^ 2]  # of the same taste

    def listed(**asked: Any) -> list[str]:
        return [each.item_id for each in reader.recommend(**asked)]

    many = reader.recommend_many(row, exclude=row, k=10)
    return {
        "user": listed(user="u000", k=10),
        "history": listed(history=past, k=10),
        "stranger": listed(k=30),
        "another moment": listed(user="u000", k=10, at="last-event"),
        "filters": listed(user="u000", k=10, options=RequestOptions(genres=(reader.items.genres[0][0], "Sci-Fi"))),
        "pins": listed(user="u000", k=3, options=RequestOptions(pinned=(item,))),
        "boosts": listed(user="u000", k=10, options=RequestOptions(boosted=(item,))),
        "diversity": listed(user="u000", k=22, options=RequestOptions(diversity=0.4)),
        "users": reader.recommend_users(["u000", "nobody"], 30)["item_id"].to_pylist(),
        "many": [ids[i] for i in padded(many.items, 10)[0] if i >= 0],
        "member": [ids[i] for i in reader.recommend_many(row, exclude=row, k=30, model="ease").items[0] if i >= 0],
        "similar": [each.item_id for each in reader.similar(other, 29)],
        "search": [each.item_id for each in reader.search(reader.items.titles[int(item[1:])], 30)],
        "evidence": [i for each in reader.recommend(history=[item, *past], k=5, reasons=True)
                     for reason in each.reasons for i in reason.items],
        "explained": [each.item_id for each in reader.explain(past[0], history=[item]).evidence],
    }  # fmt: skip


@pytest.mark.parametrize("stored", [True, False])
def test_every_door_shows_an_item_while_it_may_be_shown(made: Any, stored: bool) -> None:
    reader, item, hands = made(stored)
    editions = []
    for hands.at, shown in WALK:
        editions.append(reader.edition)
        for door, answer in doors(reader, item).items():
            assert (item in answer) is shown, (door, hands.at)
        told = reader.explain(item, "u000").left_out
        assert told == (None if shown else "upcoming" if hands.at < OPENS else "expired")
    # What was kept is out of reach once it is wrong, and no sooner.
    before, opening, open_, closing, after, long_after = editions
    assert before == opening != open_ == closing != after == long_after and before != after


@pytest.mark.parametrize("stored", [True, False])
def test_a_caller_hands_in_the_moment_of_rights(made: Any, stored: bool) -> None:
    reader, item, hands = made(stored)
    index = reader.items.index_of(item)
    row = reader.users.histories.take([0])
    for instant, shown in WALK:
        answers = [
            [each.item_id for each in reader.recommend("u000", k=10, rights_at=instant)],
            reader.recommend_users(["u000"], 10, rights_at=instant)["item_id"].to_pylist(),
            [each.item_id for each in reader.similar(reader.items.ids[index ^ 2], 29, rights_at=instant)],
            [each.item_id for each in reader.search(reader.items.titles[index], 30, rights_at=instant)],
            [reader.items.ids[i] for i in reader.recommend_many(row, exclude=row, k=10, rights_at=instant).items[0]],
        ]
        assert [item in answer for answer in answers] == [shown] * 5
        assert (reader.explain(item, "u000", rights_at=instant).left_out is None) is shown
    assert hands.at == UNTIL


def test_the_moment_of_the_ranking_does_not_move_rights(made: Any) -> None:
    reader, item, hands = made(True)
    for hands.at, shown in WALK:
        for at in (OPENS, ENDS + DAY, "last-event", 3.0):
            assert (item in [each.item_id for each in reader.recommend("u000", k=10, at=at)]) is shown


@pytest.mark.parametrize("stored", [True, False])
def test_lists_refill_and_are_never_short_while_there_are_items(
    tmp_path: Path, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the last twelve of 200 items expire one day, more than the places of a stored list."""
    gone = range(188)
    write_bundle(tmp_path / "bundle", items=200, expires=dict.fromkeys(gone, ENDS))
    if stored:
        precompute(tmp_path / "bundle", Reader.open_bundle(tmp_path / "bundle"))
    hands = Hands()
    reader = Reader.open_bundle(tmp_path / "bundle", now=hands)
    before = [each.item_id for each in reader.recommend("u000", k=10)]
    hands.at = ENDS
    for found in (
        [each.item_id for each in reader.recommend("u000", k=10)],
        [each.item_id for each in reader.recommend(k=10)],
        [each.item_id for each in reader.similar("i000", 10)],
        reader.recommend_users(["u000"], 10)["item_id"].to_pylist(),
    ):
        assert len(found) == 10 and all(int(each[1:]) >= 188 for each in found)
    assert len({*before}) == 10 and not {*before} & {each.item_id for each in reader.recommend("u000", k=10)}


def test_a_log_of_long_ago_gives_the_list_that_it_gave_then_less_what_has_expired(made: Any) -> None:
    reader, item, hands = made(True)
    hands.at = OPENS
    then = [each.item_id for each in reader.recommend("u000", k=10)]
    hands.at = ENDS + 9000 * DAY
    now = [each.item_id for each in reader.recommend("u000", k=10)]
    assert now[:9] == [each for each in then if each != item]


def test_stored_lists_hold_whatever_time_may_bring_and_depend_on_no_clock(made: Any) -> None:
    reader, item, _ = made(True)
    assert reader.stored.lists is not None and int(item[1:]) in reader.stored.lists.items[0]
    folder = reader.facets.path.parent
    again = folder.parent / "again"
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("lists", "neighbours"))
    reseal(again)
    assert precompute(again, Reader.open_bundle(again, now=lambda: ENDS)) == reader.digest


def test_what_is_given_back_is_shown_although_the_stored_lists_lack_it(made: Any) -> None:
    """Who replaces the version's own rights (a withdrawals file does) may also allow what the version forbade."""
    reader, item, hands = made(True)
    folder = reader.facets.path.parent
    table = pq.read_table(folder / "items.parquet")
    blocked = [each == item for each in table["item_id"].to_pylist()]
    shutil.rmtree(folder / "lists")
    shutil.rmtree(folder / "neighbours")
    pq.write_table(
        table.set_column(table.column_names.index("blocked"), "blocked", [blocked]), folder / "items.parquet"
    )
    reseal(folder)
    precompute(folder, Reader.open_bundle(folder))
    hands.at = OPENS
    forbidding = Reader.open_bundle(folder, now=hands)
    assert item not in [each.item_id for each in forbidding.recommend("u000", k=10)]
    allowing = replace(forbidding, items=replace(forbidding.items, blocked=np.zeros(len(blocked), bool)))
    assert allowing.recommend("u000", k=1)[0].item_id == item


def test_an_error_message_names_nothing_that_may_not_be_shown(made: Any) -> None:
    reader, item, hands = made(False)
    for hands.at, shown in WALK:
        with pytest.raises(UserError) as raised:
            reader.similar(reader.items.titles[int(item[1:])][1:], 3)
        assert (item in str(raised.value)) is shown


def test_lists_of_an_earlier_nightreel_are_not_for_tonight(tmp_path: Path) -> None:
    """They were computed as of each user's last event where it had evaluated so, and its config says so."""
    write_bundle(tmp_path / "bundle", moment="last_event")
    digest = read_manifest(tmp_path / "bundle").digest
    precompute(tmp_path / "bundle", Reader.open_bundle(tmp_path / "bundle"))
    config = read_manifest(tmp_path / "bundle").config
    assert config["moment"] == "data_until" and Reader.open_bundle(tmp_path / "bundle").stored.lists is not None
    seal(tmp_path / "bundle", config | {"moment": "last_event"})
    earlier = Reader.open_bundle(tmp_path / "bundle")
    assert earlier.stored.lists is None and earlier.digest != digest


def rules_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), RULES_SCHEMA)


def test_rights_and_rules_share_one_clock(made: Any) -> None:
    """A pin of an item that is not yet published waits for the item."""
    reader, item, hands = made(False)
    folder = reader.facets.path.parent
    editorial_rules.write(folder, rules_of({"rule": "pin", "target": item, "value": None}))
    reseal(folder)
    pinned = Reader.open_bundle(folder, now=hands)
    for hands.at, shown in WALK:
        assert (pinned.recommend("nobody", k=1)[0].item_id == item) is shown


def test_an_item_of_2099_shows_nowhere_by_the_machines_clock(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    item = best(tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle")
    write_bundle(tmp_path / "bundle", published={item: dt.datetime(2099, 1, 1, tzinfo=dt.UTC).timestamp()})
    precompute(tmp_path / "bundle", Reader.open_bundle(tmp_path / "bundle"))
    reader = Reader.open_bundle(tmp_path / "bundle")
    name = f"i{item:03d}"
    assert not [door for door, answer in doors(reader, name).items() if name in answer]


def test_a_user_and_their_history_with_its_times_get_the_same_list(made: Any) -> None:
    reader, _, hands = made(True)
    for hands.at, _shown in WALK:
        for row in (0, 3, 17):
            past = reader.users.histories.take([row])
            many = reader.recommend_many(past, exclude=past, k=10).items[0]
            by_user = reader.recommend(f"u{row:03d}", k=10)
            assert [each.item_id for each in by_user] == [reader.items.ids[i] for i in many]
