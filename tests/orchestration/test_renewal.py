"""Other metadata, the same models: little is sent, and every answer is that of a version written from scratch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.speed.made_up_bundle import Made, assemble, made_up
from nightreel import Reader, UserError
from nightreel.bundle.format import digest_of, read_manifest
from nightreel.cli.versions import renew as renewing
from nightreel.orchestration.renewal import renew
from nightreel.reader.precompute import precompute
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish

ITEMS, CHANGED = 1000, 10
INDEX = {"least_items": 500, "connectivity": 16, "expansion_add": 64, "expansion_search": 512}


def renewed(made: Made) -> Made:
    """One item in a hundred under another title and genre; its text is encoded to something else."""
    rng = np.random.default_rng(9)
    rows = np.sort(rng.choice(ITEMS, CHANGED, replace=False))
    table, vectors = made.items.to_pydict(), made.vectors.copy()
    for row in rows.tolist():
        table["title"][row], table["genres"][row] = f"Renamed {row}", ["Western"]
    vectors[rows] = made.vectors[rng.choice(ITEMS, CHANGED)]
    return Made(pa.table(table), vectors, made.past)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    folder, made = tmp_path_factory.mktemp("base") / "bundle", made_up(users=60, items=ITEMS, watched=10, width=256)
    assemble(folder, made, INDEX)
    precompute(folder, Reader.open_bundle(folder))
    return folder, made


@pytest.fixture(scope="module")
def update(base: tuple[Path, Made], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    made = renewed(base[1])
    folder = tmp_path_factory.mktemp("update") / "bundle"
    renew(folder, base[0], made.items, made.vectors)
    return folder, made


def test_a_hundredth_of_the_items_costs_less_than_a_tenth_of_the_bytes(
    base: tuple[Path, Made], update: tuple[Path, Made], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "store")
    first = publish(store, base[0], channel="live", champion=None, lineage={})
    second = publish(store, update[0], channel="live", champion=first.digest, lineage={})
    assert 0 < second.sent <= 0.1 * first.sent
    assert Reader.open(store.uri).search("renamed", 20)[0].title.startswith("Renamed")


def test_the_same_change_gives_the_same_digest(
    base: tuple[Path, Made], update: tuple[Path, Made], tmp_path: Path
) -> None:
    assert renew(tmp_path / "again", base[0], update[1].items, update[1].vectors) == digest_of(update[0])


def test_answers_are_those_of_a_version_from_scratch(update: tuple[Path, Made], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    assemble(scratch, update[1], None)
    precompute(scratch, Reader.open_bundle(scratch))
    ours, whole = Reader.open_bundle(update[0]), Reader.open_bundle(scratch)
    changed = ours.engine.catalogue.changed.tolist()
    assert len(changed) == CHANGED and np.array_equal(ours.vectors, whole.vectors)
    asked = [*changed, *range(0, ITEMS, 23)]
    for item in asked:
        near, expected = ours.similar(f"i{item}", 10), whole.similar(f"i{item}", 10)
        assert [each.item_id for each in near] == [each.item_id for each in expected]
        np.testing.assert_allclose([each.score for each in near], [each.score for each in expected], atol=1e-6)
    moved = {f"i{row}" for row in changed}
    assert any(moved & {each.item_id for each in ours.similar(f"i{item}", 10)} for item in range(0, ITEMS, 23))
    found, exact = ours.recommend_many(update[1].past, k=10).items, whole.recommend_many(update[1].past, k=10).items
    assert np.mean(found == exact) > 0.98
    for name in ("items.npy", "events.npy", "contexts.json"):
        assert (update[0] / "popular" / name).read_bytes() == (scratch / "popular" / name).read_bytes()


def test_a_known_user_and_the_same_history_get_the_same_list(update: tuple[Path, Made]) -> None:
    reader = Reader.open_bundle(update[0])
    assert reader.engine.catalogue.nearest is not None and reader.stored.lists is not None
    past = reader.histories.take(np.arange(len(reader.users)))
    many = reader.recommend_many(past, exclude=past, k=10)
    for row in range(0, len(reader.users), 7):
        user = reader.user_ids[row].as_py()
        told = reader.recommend(user, k=10)
        assert [reader.items.index_of(each.item_id) for each in told] == many.items[row].tolist()
        alone = past.take([row])
        again = reader.recommend_many(alone, exclude=alone, k=10)
        assert again.items[0].tolist() == many.items[row].tolist()


def test_other_items_are_refused(base: tuple[Path, Made], tmp_path: Path) -> None:
    fewer = base[1].items.slice(1)
    with pytest.raises(UserError, match="the items or their order differ"):
        renew(tmp_path / "bundle", base[0], fewer, base[1].vectors[1:])


def test_without_the_library_all_vectors_are_read(
    update: tuple[Path, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    reader = Reader.open_bundle(update[0])
    assert reader.engine.catalogue.nearest is None
    assert len(reader.similar(f"i{reader.engine.catalogue.changed[0]}", 10)) == 10
    assert len(reader.recommend(history=["i3", "i4"], k=10)) == 10


def call(*arguments: str) -> str:
    app = typer.Typer()
    renewing.register(app)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def published(base: tuple[Path, Made], tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    publish(store, base[0], channel="live", champion=None, lineage={"recipe": "night", "tables": "t"})
    return store


def test_the_command_changes_what_a_file_says_and_nothing_else(published: LocalStore, tmp_path: Path) -> None:
    before = Reader.open(published.uri)
    user = before.user_ids[0].as_py()
    gone = before.recommend(user, k=1)[0].item_id
    kept = "i1" if gone != "i1" else "i2"
    file = tmp_path / "correct.csv"
    file.write_text(f"item_id,title,blocked\n{gone},Withdrawn,true\n{kept},Zeppelin,\nnever-seen,New,\n")
    dry = call(str(file), "--store", published.uri, "--dry-run")
    assert "2 items changed" in dry and "would be" in dry and Reader.open(published.uri).digest == before.digest
    told = json.loads(call(str(file), "--store", published.uri, "--json"))
    assert (told["renewed"], told["changed"], told["new"]) == (before.digest, 2, 1)
    after = Reader.open(published.uri)
    assert after.digest == told["version"] != before.digest
    assert gone not in {each.item_id for each in after.recommend(user, k=100)}
    assert after.search("zeppelin", 1)[0].item_id == kept
    assert after.items.genres == before.items.genres and np.array_equal(after.vectors, before.vectors)
    record = channels.lineage(published, after.digest)
    assert record["renewed"] == before.digest and record["tables"] == "t" and record["recipe"] != "night"
    assert "nothing changed" in call(str(file), "--store", published.uri)
    channels.rollback(published, "live")
    assert Reader.open(published.uri).digest == before.digest and "night" not in channels.blocked(published)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,title\ni1, \n", r"correct\.csv: row 1: empty title in `title`; 1 rows of 1"),
        ("item_id,title\ni1,A\ni1,B\n", r"row 2: duplicate in `item_id`"),
        ("item_id,title,blocked\ni1,A,true\ni2,B,maybe\n", r"row 2: wrong type in `blocked`"),
        ("item_id,title\nx1,A\n", r"has none of these items \(x1 …\)\. New items need a nightly run"),
        ("title\nA\n", r"column `item_id`.* is missing"),
    ],
)
def test_a_file_at_fault_changes_nothing(published: LocalStore, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "correct.csv").write_text(content)
    live = channels.live(published)
    with pytest.raises(UserError, match=message):
        call(str(tmp_path / "correct.csv"), "--store", published.uri)
    assert channels.live(published) == live


RULES = "rule,target,value,starts_at,ends_at\n"


def test_other_rules_are_live_at_once_and_nothing_else_is_sent(published: LocalStore, tmp_path: Path) -> None:
    before, file = Reader.open(published.uri), tmp_path / "rules.csv"
    user, gone = before.user_ids[0].as_py(), before.recommend(before.user_ids[0].as_py(), k=1)[0].item_id
    file.write_text(f"{RULES}pin,i7,,,\nhide,{gone},,,\npin,i8,,,2026-01-01\nboost,to come,,,\n")
    pointer = channels.live(published)
    with pytest.raises(UserError, match=r"rules\.csv: 1 of 4 rules .* no item: boost to come\. Nothing was changed"):
        call("--rules", str(file), "--store", published.uri)
    assert channels.live(published) == pointer
    rules = ("--rules", str(file), "--store", published.uri, "--allow-unmatched")
    assert "4 rules replace the published ones" in call(*rules, "--dry-run")
    told = call(*rules)
    assert "rules: 1 of 4 have a target that matches no item (boost to come)" in told and "0.0 MB uploaded" in told
    ruled = Reader.open(published.uri)
    assert ruled.recommend(user, k=1)[0].item_id == "i7" and ruled.stored.lists is not None
    assert gone not in [each.item_id for each in ruled.recommend(user, k=50)]
    kept = read_manifest(before.facets.path.parent).files
    now = read_manifest(ruled.facets.path.parent).files
    assert {n: e for n, e in now.items() if n != "rules.parquet"} == kept
    assert "nothing changed" in call("--rules", str(file), "--store", published.uri)
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\ni9,Renamed\n")  # the rules stay where only items are renewed
    call(str(items), "--store", published.uri)
    assert Reader.open(published.uri).recommend(user, k=1)[0].item_id == "i7"
    file.write_text(RULES)  # the header alone takes all of them away
    call("--rules", str(file), "--store", published.uri)
    assert Reader.open(published.uri).rules is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hdie,i1,,,", r"rules\.csv: row 1: unknown value in `rule`; 1 rows of 1"),
        ("pin,i1,,,\nhide,,,,", r"row 2: empty cell in `target`"),
        ("max_per_genre,,many,,", r"row 1: wrong type in `value`"),
        ("pin,i1,,2026-02-01,2026-01-01", r"row 1: impossible value in `ends_at`"),
        ("pin,i1,,soon,", r"row 1: wrong type in `starts_at`"),
        ("only,language:tlh,,,", r"row 1: leaves no item in `target`"),
    ],
)
def test_rules_at_fault_change_nothing(published: LocalStore, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rules.csv").write_text(f"{RULES}{content}\n")
    live = channels.live(published)
    with pytest.raises(UserError, match=message):
        call("--rules", str(tmp_path / "rules.csv"), "--store", published.uri)
    assert channels.live(published) == live


def test_rules_that_leave_nothing_are_refused_and_those_that_leave_little_warn(
    published: LocalStore, tmp_path: Path
) -> None:
    file, ids = tmp_path / "rules.csv", Reader.open(published.uri).items.ids
    file.write_text("rule,target\n" + "".join(f"hide,{item}\n" for item in ids))
    with pytest.raises(UserError, match=rf"row {len(ids)}: leaves no item in `target`; 1 rows of {len(ids)}"):
        call("--rules", str(file), "--store", published.uri)
    file.write_text("rule,target\n" + "".join(f"hide,{item}\n" for item in ids[1:]))
    told = call("--rules", str(file), "--store", published.uri)
    assert f"warning: rules: together they hide {len(ids) - 1:,} of {len(ids):,} items" in told
    assert not Reader.open(published.uri).standing().hidden[0]


def test_a_blocked_item_that_matches_nothing_is_refused(published: LocalStore, tmp_path: Path) -> None:
    file, pointer = tmp_path / "items.csv", channels.live(published)
    file.write_text("item_id,title,blocked\ni1,A,\nx1,B,true\n")
    with pytest.raises(UserError, match=r"1 blocked or expired items match no item: x1\. Nothing was changed"):
        call(str(file), "--store", published.uri)
    assert channels.live(published) == pointer
    file.write_text("item_id,title,blocked\n i1 ,Another,true\nnew,B,\n")
    assert "1 items with changed rights" in call(str(file), "--store", published.uri)
    reader = Reader.open(published.uri)
    assert (
        reader.items.blocked[reader.items.require("i1")]
        and reader.items.titles[reader.items.require("i1")] == "Another"
    )


def test_nothing_to_renew_is_told(published: LocalStore) -> None:
    with pytest.raises(UserError, match="Give tables of items, --rules FILE"):
        call("--store", published.uri)


def test_a_file_that_is_not_there_or_of_no_known_format_is_told(published: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "items.xlsx").touch()
    for name, message in (("items.csv", "there is no such file"), ("items.xlsx", "unknown format")):
        with pytest.raises(UserError, match=message):
            call(str(tmp_path / name), "--store", published.uri)
