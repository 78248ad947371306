"""What is withdrawn in a channel holds on every door of whatever version it serves, in a folder and on S3 alike."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nightreel.cli.versions import withdrawn_ids
from nightreel.data.privacy import pseudonym
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.stage import cache_folder
from nightreel.store import channels, records, retention
from nightreel.store import withdrawals_file as files
from nightreel.store.backends.base import Store, StoreError
from nightreel.store.channel_pointer import Pointer
from nightreel.store.local_cache import download
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import NightlyTables, TableRights, Withdrawals, WithdrawalsError, key_of
from nightreel.store.withdrawals_update import change, compose
from nightreel.withdrawals.nightly import hold, serving_together, waiting
from tests.contracts.servers import set_environment
from tests.support.bundles import lineage, write_bundle

IDS = tuple(f"i{n:03d}" for n in range(30))
NOW = 1_790_000_000.0
ALL = NightlyTables(TableRights(catalogue=IDS))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two versions with lists that were computed with them."""
    root = tmp_path_factory.mktemp("bundles")
    for n in range(2):
        write_bundle(root / str(n), seed=n)
        precompute(root / str(n), Reader.open_bundle(root / str(n), check=False))
    return [root / "0", root / "1"]


@pytest.fixture(params=["local", "seaweed"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty one."""
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    uri = str(tmp_path / "store")
    if request.param == "seaweed":
        set_environment(monkeypatch, request.getfixturevalue("seaweed"))
        uri = f"s3://bucket-{random.randrange(10**9)}/a/store"
    return open_store(uri)


@dataclass(frozen=True)
class Filled:
    """A store with both versions, and what it held then: all keys, and the content of those beside the versions."""

    uri: str
    keys: frozenset[str]
    records: dict[str, bytes]
    copies: Path | None
    """What a machine keeps that has opened both versions before, where they are not read from the store's folder."""


@pytest.fixture(scope="module")
def filled(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Store], Filled]:
    """The filled store of the same kind as an empty one. Sending a version takes longer than most of these tests."""
    kinds: dict[type[Store], Filled] = {}

    def of(empty: Store) -> Filled:
        if type(empty) not in kinds:
            uri = empty.uri if empty.uri.startswith("s3://") else str(tmp_path_factory.mktemp("filled"))
            store = open_store(uri)
            champion = None
            for n, folder in enumerate(folders):
                champion = publish(store, folder, channel="live", champion=champion, lineage=lineage(f"r{n}")).digest
            keys = frozenset(store.list(""))
            records = {key: store.get(key) for key in keys if not key.startswith("versions/")}
            kinds[type(empty)] = Filled(uri, keys, records, copies_of(store, tmp_path_factory.mktemp("copies")))
        return kinds[type(empty)]

    return of


def copies_of(store: Store, folder: Path) -> Path | None:
    """The copies that a machine keeps of both versions; none of a store in a folder, which is read where it lies."""
    if store.folder("versions") is not None:
        return None
    for digest in (live(store).digest, str(live(store).previous)):
        download(store, digest, folder / digest)
    return folder


@pytest.fixture
def published(store: Store, filled: Callable[[Store], Filled]) -> Store:
    """Both versions published, the second one live; what the test before did around them is undone. This machine has
    opened both before."""
    found = filled(store)
    if found.copies:
        shutil.copytree(found.copies, cache_folder() / "bundles", copy_function=os.link)
    again = open_store(found.uri)
    for key in again.list("").keys() - found.keys:
        again.delete(key)
    for key, content in found.records.items():
        again.put(key, content)
    assert again.list("").keys() == found.keys
    return again


def live(store: Store) -> Pointer:
    pointer = channels.live(store)
    assert pointer is not None
    return pointer


def withdraw(store: Store, *, items: tuple[str, ...] = (), users: tuple[str, ...] = ()) -> None:
    withdrawn_ids.withdraw(store, None, withdrawn_ids.Named(items, users))


def shown_to(reader: Reader, user: str) -> set[str]:
    """Every item that any door shows to a user or near one of their items."""
    doors = [reader.recommend(user, k=30), reader.recommend(history=[IDS[0], IDS[1]], k=30), reader.recommend(k=30)]
    doors += [reader.search("story", 30), reader.similar(IDS[4], 30)]
    table = reader.recommend_users([user, "stranger"], 30)
    many = reader.recommend_many(reader.histories.take([0, 1]), k=30).items
    found = {each.item_id for door in doors for each in door} | set(table["item_id"].to_pylist())
    return found | {reader.items.ids[i] for i in many[many >= 0].tolist()}


def test_what_is_withdrawn_by_hand_shows_on_no_door_and_lists_are_filled_up(published: Store) -> None:
    before = Reader.open(published.uri)
    gone = tuple(each.item_id for each in before.recommend("u002", k=3))
    withdraw(published, items=gone)
    after = Reader.open(published.uri)
    assert after.digest == before.digest and after.edition != before.edition
    assert not shown_to(after, "u002") & set(gone) and shown_to(before, "u002") >= set(gone)
    assert len(after.recommend("u002", k=10)) == 10
    assert after.explain(gone[0], "u002").left_out == "blocked"
    assert not shown_to(Reader.open(published.uri, version=live(published).previous), "u002") & set(gone)
    assert shown_to(after.unruled, "u002") >= set(gone)  # a night judges recommenders, never rights


def test_who_is_erased_is_as_unknown_as_anybody_on_every_door(published: Store) -> None:
    before, stranger = Reader.open(published.uri), "nobody"
    withdraw(published, users=("u002", "u003", "never-known"))
    reader = Reader.open(published.uri)
    assert before.knows(["u002", "u003"]).all()
    assert reader.knows(["u002", "u003", "u004"]).tolist() == [False, False, True]
    assert not {"u002", "u003"} & set(reader.user_ids.to_pylist()) and len(reader.user_ids) == 38
    ids = [each.item_id for each in reader.recommend("u002", k=10)]
    assert ids == [each.item_id for each in reader.recommend(stranger, k=10)]
    assert ids != [each.item_id for each in before.recommend("u002", k=10)]
    table = reader.recommend_users(["u002", stranger], 10)
    assert table["item_id"].to_pylist() == ids * 2
    own = before.explain(ids[0], "u002"), reader.explain(ids[0], "u002"), reader.explain(ids[0], stranger)
    assert replace(own[1]) == replace(own[2]) and own[0] != own[1]
    row = int(before.users.rows(["u002"])[0])
    assert len(before.histories[row][0]) and not len(reader.histories[row][0])
    many = ["u002", *before.user_ids.to_pylist()] * 3  # by a hash table
    assert not reader.knows(many)[0] and reader.knows(many).sum() == 3 * 38


def test_pseudonyms_are_found_by_the_persons_own_id(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = b"0" * 64
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", key.decode())
    write_bundle(tmp_path / "private", key=key)
    publish(store, tmp_path / "private", channel="live", champion=None, lineage=lineage("r"))
    withdraw(store, users=("u002",))
    assert Reader.open(store.uri).knows(["u002", "u003"]).tolist() == [False, True]
    content = store.get(key_of(str(live(store).withdrawals)))
    assert b"u002" not in content and pseudonym(key, "u002").encode() in content


def test_a_reader_of_the_first_format_refuses_and_the_first_format_is_read(published: Store) -> None:
    """The rule of release 0.1: a pointer has to have `digest`, `previous` and `generation`."""
    content = published.get("channels/live.json")
    with pytest.raises(StoreError, match="is damaged"):
        records.parse(published, "channels/live.json", content, ("digest", "previous", "generation"))
    pointer = json.loads(content)
    assert pointer["format"] == 2 and pointer["withdrawals"] is None
    old = {name: pointer[name] for name in ("previous", "generation", "share", "left", "fence")}
    published.put("channels/live.json", records.sealed(old | {"digest": pointer["version"]}))
    assert live(published).digest == pointer["version"] and live(published).withdrawals is None
    withdraw(published, items=(IDS[0],))
    assert json.loads(published.get("channels/live.json"))["format"] == 2
    published.put("channels/live.json", records.sealed(pointer | {"format": 3}))
    with pytest.raises(StoreError, match=r"has format 3; this Nightreel reads formats 1 and 2. Use the Nightreel rel"):
        channels.live(published)


def test_a_rollback_moves_the_version_alone(published: Store) -> None:
    left = live(published).digest
    withdraw(published, items=IDS[:2], users=("u002",))
    withheld = live(published).withdrawals
    channels.rollback(published, "live")
    assert live(published).digest != left and live(published).withdrawals == withheld
    reader = Reader.open(published.uri)
    assert not shown_to(reader, "u004") & set(IDS[:2]) and not reader.knows(["u002"])[0]
    channels.touch(published, "live")
    assert live(published).withdrawals == withheld


def test_a_withdrawal_during_a_night_survives_its_publication(store: Store, folders: list[Path]) -> None:
    first = publish(store, folders[0], channel="live", champion=None, lineage=lineage("r0"), tonight=ALL)
    assert files.read(store, live(store).withdrawals) == compose(ALL, None)
    tonight = NightlyTables(TableRights(IDS, blocked=(IDS[3],)), erased=("u005",))
    hold(store, "live", tonight, NOW, None)
    withdraw(store, items=(IDS[7],), users=("u002",))  # while the night trains
    publish(store, folders[1], channel="live", champion=first.digest, lineage=lineage("r1"), tonight=tonight)
    reader = Reader.open(store.uri)
    assert reader.digest != first.digest and not shown_to(reader, "u004") & {IDS[3], IDS[7]}
    assert reader.knows(["u002", "u005", "u004"]).tolist() == [False, False, True]
    hold(store, "live", ALL, NOW, None)  # nor does the next night bring it back
    reader = Reader.open(store.uri)
    assert IDS[7] not in shown_to(reader, "u004") and IDS[3] in shown_to(reader, "u004")
    assert not reader.knows(["u002"])[0]


def test_tonights_tables_take_the_place_of_the_versions_own(published: Store) -> None:
    rule = {"rule": "hide", "target": IDS[8], "value": None, "starts_at": None, "ends_at": None}
    windows = {IDS[4]: (None, NOW - 1), IDS[5]: (NOW + 10, None), IDS[6]: (NOW - 10, NOW + 10)}
    told = NightlyTables(TableRights(IDS[:-2], (IDS[3],), windows), ("u005",), (rule,))
    _, effect = hold(published, "live", told, NOW, None)
    assert (effect.items, effect.users, effect.warnings) == (6, 1, [])
    reader = Reader.open(published.uri, now=lambda: NOW)
    hidden = {IDS[3], IDS[4], IDS[5], IDS[8], *IDS[-2:]}
    assert {item for item in IDS if reader.standing().hidden[reader.items.require(item)]} == hidden
    later = Reader.open(published.uri, now=lambda: NOW + 20)
    assert later.items.hidden(NOW + 20)[6] and not later.items.hidden(NOW + 20)[5]
    at = channels.live(published)
    done, effect = hold(published, "live", told, NOW, None)
    assert not done.moved and channels.live(published) == at and effect.items == 0


@pytest.mark.parametrize(
    "items", [TableRights(IDS, blocked=IDS[:16]), TableRights(), TableRights(IDS[:14]), TableRights(("x", "y"))]
)
def test_a_broken_table_of_items_does_not_empty_what_is_live(published: Store, items: TableRights) -> None:
    hold(published, "live", NightlyTables(TableRights(IDS, (IDS[3],))), NOW, None)
    done, effect = hold(published, "live", NightlyTables(items, ("u005",)), NOW, None)
    assert done.moved and effect.users == 1 and effect.items == 0
    assert "the table items would hide" in effect.warnings[0] and "Check items.*" in effect.warnings[0]
    reader = Reader.open(published.uri)
    assert reader.items.blocked.nonzero()[0].tolist() == [3] and not reader.knows(["u005"])[0]


def test_rules_that_leave_nothing_are_not_taken_over(published: Store) -> None:
    rule = {"rule": "hide", "target": "genre:drama", "value": None, "starts_at": None, "ends_at": None}
    hold(published, "live", replace(ALL, rules=(rule,)), NOW, None)
    assert len(Reader.open(published.uri).recommend(k=30)) == 15
    only = {"rule": "only", "target": "genre:musical", "value": None, "starts_at": None, "ends_at": None}
    done, effect = hold(published, "live", NightlyTables(TableRights(IDS, (IDS[1],)), rules=(only,)), NOW, None)
    assert done.moved and "the table rules would leave no item" in effect.warnings[0]
    assert len(Reader.open(published.uri).recommend(k=30)) == 14


def test_what_a_night_was_refused_comes_with_the_version_that_is_made_of_it(store: Store, folders: list[Path]) -> None:
    first = publish(store, folders[0], channel="live", champion=None, lineage=lineage("r0"), tonight=ALL).digest
    withdraw(store, items=(IDS[20],))
    half = NightlyTables(TableRights(IDS[16:]))
    hold(store, "live", half, NOW, None)
    assert len(Reader.open(store.uri).recommend(k=30)) == 29
    publish(store, folders[1], channel="live", champion=first, lineage=lineage("r1"), tonight=half)
    reader = Reader.open(store.uri)
    assert shown_to(reader, "u004") == set(IDS[16:]) - {IDS[20]}


def test_who_comes_back_is_known_to_the_version_that_was_made_of_their_new_events(
    store: Store, folders: list[Path]
) -> None:
    first = publish(store, folders[0], channel="live", champion=None, lineage=lineage("r0"), tonight=ALL).digest
    hold(store, "live", replace(ALL, erased=("u005", "u006")), NOW, None)
    tonight = replace(ALL, erased=("u006",))
    hold(store, "live", tonight, NOW, None)
    assert not Reader.open(store.uri).knows(["u005", "u006"]).any()  # the version still holds their old events
    publish(store, folders[1], channel="live", champion=first, lineage=lineage("r1"), tonight=tonight)
    assert Reader.open(store.uri).knows(["u005", "u006"]).tolist() == [True, False]


def test_a_channel_with_a_share_is_withdrawn_from_too(published: Store, folders: list[Path]) -> None:
    for name in ("canary", "trial"):
        publish(published, folders[0], channel=name, champion=None, lineage=lineage("r0"))
    channels.set_share(published, "canary", 0.1)
    assert serving_together(published, "live") == serving_together(published, "canary") == ["canary", "live"]
    assert serving_together(published, "trial") == ["trial"] and serving_together(published, "none") == []


def test_a_channel_that_begins_shows_nothing_that_was_withdrawn_by_hand_before(
    published: Store, folders: list[Path]
) -> None:
    withdraw(published, items=IDS[:2], users=("u002",))
    publish(published, folders[0], channel="canary", champion=None, lineage=lineage("r0"), tonight=ALL)
    reader = Reader.open(published.uri, channel="canary")
    assert not shown_to(reader, "u004") & set(IDS[:2]) and reader.knows(["u002", "u004"]).tolist() == [False, True]


def test_a_channel_that_serves_nobody_yet_shows_nothing_that_was_withdrawn_when_it_gets_its_share(
    published: Store, folders: list[Path]
) -> None:
    publish(published, folders[0], channel="canary", champion=None, lineage=lineage("r0"))
    tonight = NightlyTables(TableRights(IDS, (IDS[3],)), ("u002",))
    assert waiting(published, serving_together(published, "live")) == ["canary"]
    assert waiting(published, serving_together(published, "canary")) == []
    assert hold(published, "canary", tonight, NOW, None, fitting=True)[0].moved
    channels.set_share(published, "canary", 0.1)
    reader = Reader.open(published.uri, channel="canary")
    assert IDS[3] not in shown_to(reader, "u004") and not reader.knows(["u002"])[0]
    other_platform = NightlyTables(TableRights(("x", "y")), ("u003",))
    done, effect = hold(published, "canary", other_platform, NOW, None, fitting=True)
    assert not done.moved and (effect.items, effect.users, effect.warnings) == (0, 0, [])


def damage_kinds() -> dict[str, Callable[[Store, str], None]]:
    return {
        "missing": lambda store, key: store.delete(key),
        "cut": lambda store, key: store.put(key, store.get(key)[:-9]),
        "changed": lambda store, key: store.put(key, store.get(key).replace(IDS[0].encode(), IDS[1].encode())),
    }


@pytest.mark.parametrize("kind", damage_kinds())
def test_withdrawals_that_cannot_be_read_show_nothing_to_who_opens_and_change_nothing_for_who_is_open(
    published: Store, kind: str
) -> None:
    withdraw(published, items=(IDS[0],))
    with LiveReader(published.uri, start=False) as following:
        withdraw(published, items=(IDS[2],))
        key = key_of(str(live(published).withdrawals))
        sound = published.get(key)
        damage_kinds()[kind](published, key)
        with pytest.raises(
            WithdrawalsError, match=r"withdrawals/\w{64}\.json.*Restore it from a backup, or start a new"
        ):
            Reader.open(published.uri)
        assert not following.refresh() and key in str(following.status.fault)
        assert IDS[0] not in shown_to(following.reader, "u004") and IDS[2] in shown_to(following.reader, "u004")
        with pytest.raises(WithdrawalsError):
            withdraw(published, items=(IDS[5],))
        published.put(key, sound)
        assert following.refresh() and following.status.fault is None
        assert not shown_to(following.reader, "u004") & {IDS[0], IDS[2]}
        damage_kinds()[kind](published, key)
        withdrawn_ids.withdraw(published, None, withdrawn_ids.Named(IDS[:3], ()), anew=True)
        assert following.refresh() and not shown_to(following.reader, "u004") & set(IDS[:3])


def test_a_live_reader_takes_withdrawals_over_without_opening_the_version_anew(
    published: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LiveReader(published.uri, start=False) as following:
        before, engine, words = following.reader, following.reader.engine, following.reader.words
        monkeypatch.setattr(
            "nightreel.reader.live_reader.fetch", lambda *_: pytest.fail("the version was fetched again")
        )
        withdraw(published, items=(IDS[0],), users=("u002",))
        assert following.refresh() and not following.refresh()
        after = following.reader
        assert after.engine is engine and after.words is words and after.edition != before.edition
        assert IDS[0] not in shown_to(after, "u004") and not after.knows(["u002"])[0]
        assert following.status.swaps == 0 and following.status.withdrawals == live(published).withdrawals
        withdrawn_ids.give_back(published, None, withdrawn_ids.Named((IDS[0],), ("u002",)))
        assert following.refresh() and IDS[0] in shown_to(following.reader, "u004")
        assert following.reader.knows(["u002"])[0]


def test_of_two_withdrawals_at_once_both_hold(published: Store) -> None:
    start = threading.Barrier(4)

    def one(n: int) -> None:
        start.wait()
        withdraw(open_store(published.uri), items=(IDS[n],))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not shown_to(Reader.open(published.uri), "u004") & set(IDS[:4])


def test_a_withdrawal_while_a_version_is_sent_is_kept(
    store: Store, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the publisher's look at the channel and its move."""
    first = publish(store, folders[0], channel="live", champion=None, lineage=lineage("r0"), tonight=ALL).digest
    real, other = channels.move, open_store(store.uri)

    def move(*given: Any, **named: Any) -> Pointer:
        monkeypatch.setattr(channels, "move", real)
        withdraw(other, items=(IDS[0],))
        return real(*given, **named)

    monkeypatch.setattr(channels, "move", move)
    assert publish(store, folders[1], channel="live", champion=first, lineage=lineage("r1"), tonight=ALL).moved
    assert live(store).digest != first and IDS[0] not in shown_to(Reader.open(store.uri), "u004")


def test_a_collection_keeps_the_files_that_channels_name(published: Store) -> None:
    for n in range(3):
        withdraw(published, items=(IDS[n],))
    keep = retention.Keep(versions=10, days=0, grace_hours=0)
    planned = retention.plan(published, keep)
    assert len(planned.files) == 2 and not planned.keys and planned.size > 0
    assert not retention.plan(published, replace(keep, grace_hours=1)).files
    retention.collect(published, planned, keep)
    assert list(published.list(files.FOLDER)) == [key_of(str(live(published).withdrawals))]
    assert not shown_to(Reader.open(published.uri), "u004") & set(IDS[:3])


def test_a_file_that_a_collection_removed_just_then_is_written_again(
    published: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = channels.withdraw

    def collected(store: Store, channel: str, sha256: str, **named: Any) -> Pointer:
        store.delete(key_of(sha256))
        return real(store, channel, sha256, **named)

    monkeypatch.setattr(channels, "withdraw", collected)
    withdraw(published, items=(IDS[0],))
    assert IDS[0] not in shown_to(Reader.open(published.uri), "u004")


def test_what_was_put_right_holds_until_the_source_says_something_new(published: Store) -> None:
    entry = {"since": 1, "is": [False, None, None], "was": [True, None, None]}
    blocked = NightlyTables(TableRights(IDS, (IDS[3],)))

    def put_right(_: Pointer, held: Withdrawals | None) -> Withdrawals:
        assert held is not None
        return replace(held, by_hand=replace(held.by_hand, rights={IDS[3]: entry}))

    hold(published, "live", blocked, NOW, None)
    change(published, "live", put_right)
    for told, shown in (
        (blocked, True),
        (NightlyTables(TableRights((*IDS, "new"), (IDS[3],))), True),
        (ALL, True),
        (blocked, False),
    ):
        hold(published, "live", told, NOW, None)
        assert (IDS[3] in shown_to(Reader.open(published.uri), "u004")) is shown
