"""The reading commands: fast, from the published bundle alone, with clear errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from nightreel.bundle import editorial_rules
from nightreel.cli.ask import items as asking
from nightreel.cli.ask import recommend
from nightreel.cli.versions import releases, versions
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, reseal, taste, write_bundle
from tests.support.explored_bundle import write_explored
from tests.support.newcomers import write_with_newcomers

HEAVY = ("torch", "prefect", "mlflow", "pandas", "dvc", "sklearn", "transformers", "lightgbm", "boto3", "pandera")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Two published versions, recipes r0 and r1."""
    root = tmp_path_factory.mktemp("published")
    store, champion = LocalStore(root / "store"), None
    for n in range(2):
        write_bundle(root / f"b{n}", seed=n)
        record = lineage(f"r{n}") | {"published_at": f"2026-11-2{n}T01:00:00+00:00"}
        champion = publish(store, root / f"b{n}", channel="live", champion=champion, lineage=record).digest
    return store


@pytest.fixture(autouse=True)
def _environment(store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")


def call(*arguments: object) -> Result:
    """The result of a command; a UserError is raised as the command line's main would see it."""
    app = typer.Typer()
    recommend.register(app)
    releases.register(app)
    versions.register(app)
    asking.register(app)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def answer(*arguments: object) -> dict:
    return dict(json.loads(call(*arguments, "--json").stdout))


def live(store: LocalStore) -> str:
    pointer = channels.live(store)
    assert pointer is not None
    return pointer.digest


def test_one_user_gets_a_table_with_titles(store: LocalStore) -> None:
    text = call("recommend", "u001", "-k", 3).output
    assert "For user u001" in text and text.count("Space story") == 3 and "Sci-Fi" in text
    assert f"version {live(store)[:12]}" in text
    found = answer("recommend", "u001", "-k", 5)
    assert [row["rank"] for row in found["lists"]["u001"]] == [1, 2, 3, 4, 5]
    assert set(found["lists"]["u001"][0]) == {"rank", "item_id", "title", "genres", "score", "reason"}
    assert found["version"] == live(store) and found["unknown_users"] == []


def test_lists_are_for_tonight_or_as_of_a_moment(store: LocalStore, tmp_path: Path) -> None:
    reader = Reader.open(store.uri)
    (tmp_path / "users.csv").write_text("user_id,moment\nu003,last-event\nu005,\nu001,2023-11-01T00:00:00Z\n")
    call("recommend", "--users", tmp_path / "users.csv", "-k", 5, "--out", tmp_path / "lists.parquet")
    listed = pq.read_table(tmp_path / "lists.parquet")["item_id"].to_pylist()
    users, moments = ["u003", "u005", "u001"], ["last-event", None, 1_698_796_800.0]
    assert listed == reader.recommend_users(users, 5, at=moments, exclude_seen=True)["item_id"].to_pylist()
    by_moment = answer("recommend", "u003", "-k", 5, "--moment", "last-event")["lists"]["u003"]
    assert [row["item_id"] for row in by_moment] == listed[:5]
    with pytest.raises(UserError, match="is not a valid time for this version"):
        call("recommend", "u003", "--moment", "yesterday")
    (tmp_path / "twice.csv").write_text("user_id,moment\nu003,last-event\nu003,\n")
    with pytest.raises(UserError, match="user u003 has two moments"):
        call("recommend", "--users", tmp_path / "twice.csv")


def test_an_audience_of_an_age_and_rules_are_minded(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    items = pq.read_table(tmp_path / "bundle/items.parquet")
    ages = pa.array([6 * (n % 4) for n in range(items.num_rows)])
    pq.write_table(items.append_column("min_age", ages), tmp_path / "bundle/items.parquet")
    pin = {"rule": "pin", "target": "i028"}
    editorial_rules.write(tmp_path / "bundle", pa.Table.from_pylist([pin], RULES_SCHEMA))
    reseal(tmp_path / "bundle")
    store, out = LocalStore(tmp_path / "store"), tmp_path / "out.parquet"
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    (tmp_path / "history.txt").write_text("i000\n")
    for whom in (["u001"], ["--history", tmp_path / "history.txt"]):
        found = answer("recommend", *whom, "--store", store.uri, "--audience-age", 6, "-k", 30)
        listed = found["lists"]["u001"] if "lists" in found else found["recommendations"]
        assert listed[0]["item_id"] == "i028" and listed[0]["reason"] == "picked"
        assert {int(row["item_id"][1:]) % 4 for row in listed} == {0, 1}
    for command, listed_as in (("similar", "similar"), ("search", "found")):
        found = answer(command, "Love story 4", "--store", store.uri, "--audience-age", 6, "-k", 30)[listed_as]
        assert {int(row["item_id"][1:]) % 4 for row in found} == {0, 1}
    call("recommend", "u001", "--store", store.uri, "--audience-age", 6, "-k", 30, "--out", out)
    assert {int(item[1:]) % 4 for item in pq.read_table(out)["item_id"].to_pylist()} == {0, 1}
    assert "Picked by the editors" in call("recommend", "u001", "--store", store.uri, "--why").output


def test_an_unknown_user_gets_what_is_popular_and_is_told(store: LocalStore) -> None:
    result = call("recommend", "u000", "nobody", "-k", 3)
    assert "For user nobody" in result.output and "user nobody is not in this version" in result.output
    assert answer("recommend", "nobody")["unknown_users"] == ["nobody"]


def test_a_newcomer_is_described_by_the_version_or_by_the_command(tmp_path: Path) -> None:
    write_with_newcomers(tmp_path / "bundle")
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    where = ("--store", store.uri, "-k", 4)
    text = call("recommend", "anna", *where).output
    assert "user anna has no events in this version and gets what is popular among similar users" in text
    found = answer("recommend", "--context", "country=DE", "--context", "hour=20", *where)
    assert found["recommendations"] == answer("recommend", "anna", *where)["lists"]["anna"]
    assert (
        "For country DE, hour 20" in call("recommend", "--context", "country=DE", "--context", "hour=20", *where).output
    )
    own = answer("recommend", "anna", "--context", "country=FR", *where)["lists"]["anna"]
    assert own == answer("recommend", "bert", *where)["lists"]["bert"]
    for wrong, message in (
        (("--context", "contry=DE"), "Did you mean country"), (("--context", "DE"), "no column with a label"),
        (("anna", "--context", "country=DE", "--out", tmp_path / "x.parquet"), "--out writes lists of many"), ((), "exactly one"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            call("recommend", *wrong, *where)


@pytest.mark.parametrize("kind", ["parquet", "csv", "txt", "headed"])
def test_users_in_a_file_become_a_table(tmp_path: Path, kind: str) -> None:
    """As the referee reads it: each user once, in order, rank from 1, nothing seen."""
    users, path, out = ["u003", "007", "u000", "u003"], tmp_path / f"users.{kind}", tmp_path / "top.parquet"
    if kind == "parquet":
        pq.write_table(pa.table({"other": range(4), "user_id": pa.array(users, pa.large_string())}), path)
    else:
        path.write_text("\n".join((["user_id"] if kind != "txt" else []) + users + [""]))
    message = call("recommend", "--users", path, "-k", 4, "--out", out).output
    assert "12 rows for 3 users (1 unknown users" in message
    table = pq.read_table(out)
    assert table.schema.names == ["user_id", "item_id", "rank", "score"]
    assert table["user_id"].to_pylist() == [user for user in ("u003", "007", "u000") for _ in range(4)]
    assert table["rank"].to_pylist() == [1, 2, 3, 4] * 3
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("left_out", [False, True])
def test_whether_lists_hold_seen_items_is_the_versions_decision_at_every_door(tmp_path: Path, left_out: bool) -> None:
    write_bundle(tmp_path / "bundle", exclude_seen=left_out)
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    (tmp_path / "users.txt").write_text("u000\n")
    doors = (["u000"], ["--users", tmp_path / "users.txt"])
    lengths = [
        [len(answer("recommend", *door, *flag, "--store", store.uri, "-k", 30)["lists"]["u000"]) for door in doors]
        for flag in ([], ["--seen"], ["--no-seen"])
    ]
    own = 22 if left_out else 30
    assert lengths == [[own, own], [30, 30], [22, 22]]
    assert len(Reader.open(store.uri).recommend("u000", k=30)) == own


def test_a_history_in_a_file_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "history.txt"
    path.write_text("i001\nnope\ni003\n")
    found = answer("recommend", "--history", path, "-k", 4)
    assert {taste(int(row["item_id"][1:])) for row in found["recommendations"]} == {1}
    assert found["unknown_items"] == ["nope"]
    text = call("recommend", "--history", path).output
    assert "For a history of 2 items" in text and "ignored 1 items that this version does not know: nope" in text


def test_similar_by_id_and_by_title() -> None:
    text = call("similar", "i004", "-k", 3).output
    assert "Similar to Love story 4" in text and text.count("Love story") == 4
    assert answer("similar", "love story 4", "-k", 3) == answer("similar", "i004", "-k", 3)


def test_a_list_says_why_and_an_item_is_explained(tmp_path: Path) -> None:
    row = answer("recommend", "u001", "-k", 1, "--why")["lists"]["u001"][0]
    assert row["why"] and "Because you" in " ".join(row["why"])
    assert "why" in call("recommend", "u001", "-k", 1, "--why").output
    told = answer("explain", "u001", row["item_id"])
    assert (told["rank"], told["user"], told["left_out"]) == (1, "u001", None) and told["evidence"][0]["drop"] > 0
    text = call("explain", "u001", row["item_id"]).output
    assert "rank 1 of the list" in text and "Leave-one-out evidence" in text and "of the votes" in text
    (tmp_path / "history.txt").write_text("i001\ni003\n")
    by_history = answer("explain", "-", "i001", "--history", tmp_path / "history.txt")
    assert (by_history["left_out"], by_history["user"]) == ("seen", None)
    assert "excluded: seen" in call("explain", "-", "i001", "--history", tmp_path / "history.txt").output


def test_search_by_words() -> None:
    found = answer("search", "spce story 7", "-k", 2)["found"]
    assert found[0]["item_id"] == "i007" and found[0]["rank"] == 1
    assert "Space story 7" in call("search", "space 7").output
    assert "no results" in call("search", "qqqq").output


def test_versions_are_listed_newest_first(store: LocalStore) -> None:
    rows = answer("versions")["versions"]
    assert [row["recipe"] for row in rows] == ["r1", "r0"]
    assert rows[0]["channels"] == ["live"] and rows[0]["predecessor"] == rows[1]["version"]
    text = call("versions").output
    assert rows[0]["version"][:12] in text and "2026-11-21" in text


def test_verify_reads_every_file(store: LocalStore, tmp_path: Path) -> None:
    found = answer("verify")
    assert found["version"] == live(store) and found["whole"] and found["files"] > 10
    assert "all match the manifest" in call("verify", live(store)[:8]).output
    damaged = store.root / "versions" / live(store) / "vectors.npy"
    whole = damaged.read_bytes()
    try:
        damaged.write_bytes(whole[:-4] + b"oops")
        with pytest.raises(UserError, match=r"vectors\.npy: was changed"):
            call("verify")
    finally:
        damaged.write_bytes(whole)


def test_rollback_and_release(tmp_path: Path) -> None:
    store, champion = LocalStore(tmp_path / "store"), None
    for n in range(2):
        write_bundle(tmp_path / f"b{n}", seed=n, users=6, items=16, watched=4)
        champion = publish(
            store, tmp_path / f"b{n}", channel="live", champion=champion, lineage=lineage(f"r{n}")
        ).digest
    left, kept = live(store), channels.resolve(store, "live", None)
    assert left == kept
    assert "is blocked; `nightreel release" in call("rollback", "--store", store.uri).output
    assert live(store) != left
    assert [
        row["blocked"] for row in answer("versions", "--store", store.uri)["versions"] if row["version"] == left
    ] == [True]
    assert "may be promoted again" in call("release", left[:10], "--store", store.uri).output
    assert answer("rollback", left[:10], "--store", store.uri)["live"] == left == live(store)


@pytest.mark.parametrize(("arguments", "message"), [
    (["recommend"], "Give exactly one of the three: user ids, --users FILE"),
    (["recommend", "u000", "--history", "h.txt"], "exactly one of the three"),
    (["recommend", "--users", "missing.txt"], "missing.txt: there is no such file. Give a .parquet or .csv"),
    (["recommend", "--users", "empty.txt"], "empty.txt: contains no user_id. Give at least one"),
    (["recommend", "--users", "broken.parquet"], "broken.parquet: can't be read"),
    (["recommend", "--users", "other.csv"], r"other.csv: has no column user_id \(it has name\). Rename or add it"),
    (["recommend", "u000", "--out", "list.csv"], "--out list.csv: writes users' lists to a .parquet file"),
    (["recommend", "u000", "--out", "no/such/dir.parquet"], "no/such/dir.parquet: can't be written.*Choose another"),
    (["recommend", "u000", "--store", "empty"], "nothing is published yet in .*empty: run `nightreel run`"),
    (["recommend", "u000", "--store", "ftp://x"], "ftp://x: not a supported store. Use a folder or s3://"),
    (["recommend", "u000", "--version", "zzz"], "'zzz': no such version. `nightreel versions` lists them"),
    (["versions", "--store", "empty"], "nothing is published yet in .*empty: run `nightreel run`"),
    (["similar", "nosuch"], "'nosuch': no item has this id or title"),
    (["explain", "u000", "nosuch"], "'nosuch': no item has this id or title"),
    (["verify", "zzz"], "no such version"),
    (["rollback", "--store", "empty"], "nothing to roll back"),
    (["release", "zzz"], "no such version"),
])  # fmt: skip
def test_what_goes_wrong_is_told_with_a_remedy(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n")
    Path("broken.parquet").write_text("PAR1")
    Path("other.csv").write_text("name\nx\n")
    with pytest.raises(UserError, match=message):
        call(*arguments)


def run_alone(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


ALONE = """
import json, sys
from nightreel.cli import main
sys.argv = ["nightreel", "recommend", "u000"]
try:
    main.main()
except SystemExit as left:
    assert not left.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def test_lists_of_commands_are_without_exploration(tmp_path: Path) -> None:
    """The same with and without --out, and with reasons: what the models say."""
    write_explored(tmp_path / "bundle", share=0.9)
    own = LocalStore(tmp_path / "store")
    publish(own, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    call("recommend", "u001", "--store", own.uri, "-k", 10, "--out", tmp_path / "lists.parquet")
    expected = pq.read_table(tmp_path / "lists.parquet")["item_id"].to_pylist()
    for more in ((), ("--why",)):
        listed = answer("recommend", "u001", "--store", own.uri, "-k", 10, *more)["lists"]["u001"]
        assert [row["item_id"] for row in listed] == expected
        assert not any(row.get("reason") == "explored" for row in listed)


def test_recommend_imports_nothing_heavy() -> None:
    """What a command that only reads imports is what its start costs."""
    done = run_alone(ALONE)
    assert "Love story" in done.stdout
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert sorted(imported & set(HEAVY)) == []


def test_the_library_imports_nothing_heavy() -> None:
    done = run_alone("import sys, nightreel; print(sorted({n.split('.')[0] for n in sys.modules}))")
    assert not set(eval(done.stdout)) & {*HEAVY, "typer", "rich"}


def test_items_are_left_out_and_pages_follow_one_another(tmp_path: Path) -> None:
    whole = [row["item_id"] for row in answer("recommend", "u001", "-k", 8, "--json")["lists"]["u001"]]
    page = answer("recommend", "u001", "-k", 4, "--offset", 4, "--json")["lists"]["u001"]
    assert [row["item_id"] for row in page] == whole[4:] and [row["rank"] for row in page] == [5, 6, 7, 8]
    (tmp_path / "out.txt").write_text("\n".join(whole[1:3]))
    left = ("--exclude", whole[0], "--exclude", "nope", "--exclude-file", tmp_path / "out.txt")
    result = call("recommend", "u001", "-k", 5, *left)
    assert "1 items are not in this version: nope" in result.stderr
    rest = [row["item_id"] for row in answer("recommend", "u001", "-k", 5, *left, "--json")["lists"]["u001"]]
    assert len(rest) == 5 and not set(rest) & set(whole[:3])
    call("recommend", "u001", "-k", 5, *left, "--out", tmp_path / "lists.parquet")
    assert pq.read_table(tmp_path / "lists.parquet")["item_id"].to_pylist() == rest
    with pytest.raises(UserError, match="--offset 4: --out writes whole lists"):
        call("recommend", "u001", "--offset", 4, "--out", tmp_path / "lists.parquet")


@pytest.mark.parametrize(("module", "arguments", "extra"), [
    ("boto3", ["recommend", "u001", "--store", "s3://bucket/prefix"], "s3"),
    ("uvicorn", ["serve"], "service"),
    ("psutil", ["run"], "pipeline"),
])  # fmt: skip
def test_a_missing_extra_is_named_in_one_line(module: str, arguments: list[str], extra: str) -> None:
    code = (
        "import importlib.abc, sys\n"
        "class Away(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.partition('.')[0] == '{module}':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Away())\n"
        f"sys.argv = ['nightreel', *{arguments}]\n"
        "from nightreel.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"needs {module}, which is not installed. Install it: pip install 'nightreel[{extra}]'" in done.stderr
