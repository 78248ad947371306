"""`nightreel withdraw` and `nightreel renew`: live at once, told in words and as JSON, and given back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nightreel.cli.versions import renew as renewing
from nightreel.cli.versions import versions, withdraw
from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """One version is live."""
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    store = LocalStore(tmp_path / "store")
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    monkeypatch.chdir(tmp_path)
    return store


def call(*arguments: str) -> str:
    app = typer.Typer()
    for each in (withdraw, renewing, versions):
        each.register(app)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.output


def file(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_a_notice_names_items_and_users_and_is_live_at_once(store: LocalStore) -> None:
    digest = Reader.open().digest
    notice = file("notice.csv", "item_id,user_id\ni001,u002\ni003,\nlater,nobody\n")
    told = call("withdraw", notice, "--allow-unmatched", "--dry-run")
    assert "would be withdrawn" in told and Reader.open().withdrawals is None
    told = call("withdraw", notice, "--allow-unmatched")
    assert "1 of these items are not in version" in told and "(later)" in told and "(nobody)" in told
    assert f"channel live, version {digest[:12]}: 3 items, 2 users withdrawn" in told
    reader = Reader.open()
    assert reader.digest == digest and reader.items.blocked.nonzero()[0].tolist() == [1, 3]
    assert not reader.knows(["u002"])[0]
    pointer = channels.live(store)
    told = call("withdraw", notice, "--allow-unmatched")
    assert "already so: nothing changed" in told and channels.live(store) == pointer
    by_hand = "by `nightreel withdraw`"
    assert f"3 items blocked (3 {by_hand}), 2 users erased (2 {by_hand}), 0 rules" in call("versions")
    beside = json.loads(call("versions", "--json"))["withdrawals"]["live"]
    assert pointer is not None and beside["sha256"] == pointer.withdrawals and beside["items_by_hand"] == 3


def test_ids_that_match_nothing_are_refused_and_the_others_are_withdrawn(store: LocalStore) -> None:
    notice = file("notice.csv", "item_id,user_id\ni001,u002\ni0003,u0003\n")
    with pytest.raises(UserError, match=r"2 of the given ids match no item or user.*: i0003, u0003\. Correct them"):
        call("withdraw", notice)
    reader = Reader.open()
    assert reader.items.blocked.nonzero()[0].tolist() == [1] and not reader.knows(["u002"])[0]
    assert reader.withdrawals is not None and list(reader.withdrawals.by_hand.items) == ["i001"]
    with pytest.raises(UserError, match="1 of the given ids"):
        call("withdraw", file("one.csv", "item_id\ni0003\n"))


def test_ids_with_spaces_reach_whom_they_mean_and_are_given_back(store: LocalStore) -> None:
    notice = file("notice.csv", "item_id,user_id\n i001,u002 \n")
    assert "1 items, 1 users withdrawn" in call("withdraw", notice)
    reader = Reader.open()
    assert reader.items.blocked.nonzero()[0].tolist() == [1] and not reader.knows(["u002"])[0]
    assert "1 items and 1 users restored" in call(
        "renew", "--withdrawn", file("b.csv", "item_id,user_id\ni001 , u002\n")
    )
    assert not Reader.open().items.blocked.any() and Reader.open().knows(["u002"])[0]


def test_ids_a_line_need_to_be_told_what_they_are(store: LocalStore) -> None:
    lines = file("lines.txt", "i001\ni003\n")
    with pytest.raises(UserError, match=r"lines\.txt: has neither a column item_id nor user_id.*--items FILE"):
        call("withdraw", lines)
    told = json.loads(call("withdraw", "--items", lines, "--json"))
    assert told["channels"][0]["items"] == 2 and told["channels"][0]["unknown"] == {"items": [], "users": []}
    with pytest.raises(UserError, match=r"Nothing to withdraw\. Give a FILE"):
        call("withdraw")
    with pytest.raises(UserError, match=r"none\.csv: there is no such file"):
        call("withdraw", "none.csv")


def test_what_was_withdrawn_by_hand_is_given_back(store: LocalStore) -> None:
    call("withdraw", file("notice.csv", "item_id,user_id\ni001,u002\ni003,u003\n"))
    told = call("renew", "--withdrawn", file("back.csv", "item_id,user_id\ni001,u002\n"))
    assert "1 items and 1 users restored" in told
    reader = Reader.open()
    assert reader.items.blocked.nonzero()[0].tolist() == [3] and reader.knows(["u002", "u003"]).tolist() == [
        True,
        False,
    ]
    told = call("renew", file("items.csv", "item_id,title,blocked\ni003,Space story 3,false\n"))
    assert "1 withdrawn items restored" in told and not Reader.open().items.blocked.any()


def test_rights_and_rules_are_renewed_without_a_version(store: LocalStore) -> None:
    digest = Reader.open().digest
    rows = "item_id,title,blocked,expires_at\ni001,Space story 1,true,\ni003,Space story 3,,2020-01-01\n"
    assert "2 items with changed rights" in call("renew", file("items.csv", rows))
    reader = Reader.open()
    assert reader.digest == digest and reader.standing().hidden.nonzero()[0].tolist() == [1, 3]
    assert "nothing changed" in call("renew", "items.csv")
    assert "1 rules replace" in call("renew", "--rules", file("rules.csv", "rule,target\nhide,i005\n"))
    reader = Reader.open()
    assert reader.digest == digest and reader.standing().hidden.nonzero()[0].tolist() == [1, 3, 5]
    call("renew", file("items.csv", rows.replace("true", "").replace("2020-01-01", "")))
    assert Reader.open().standing().hidden.nonzero()[0].tolist() == [5]


def test_nothing_is_withdrawn_where_nothing_is_published(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("item_id\ni1\n")
    with pytest.raises(UserError, match="nothing is published yet"):
        call("withdraw", str(tmp_path / "n.csv"), "--store", str(tmp_path / "empty"))
