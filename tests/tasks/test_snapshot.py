"""Stage snapshot: pins the source, the champion and the environment; does nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.daily_files import read_days
from nightreel.data.privacy import pseudonym
from nightreel.errors import UserError
from nightreel.stage import read_json
from nightreel.store.open import open_store
from tasks import snapshot, validate, withdraw
from tests.support.datasets import REPOSITORY, Planted, workspace, write_dataset, write_params
from tests.support.settings import settings


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return write_dataset(tmp_path / "source")


def run(folder: Path, source: Path, **changes: Any) -> Path:
    """A snapshot in `folder`; changes are fields of the section."""
    write_params(folder, {"snapshot.source": str(source), **{f"snapshot.{name}": v for name, v in changes.items()}})
    with workspace(folder):
        snapshot.main()
    return folder / "data/snapshot"


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


def publish(folder: Path, digest: str, lineage: dict[str, Any], *, live: bool) -> None:
    """Files of a version as publish leaves them in the local store."""
    version = folder / "state/store/versions" / digest
    version.mkdir(parents=True)
    (version / "config.json").write_text(json.dumps({"data_until": 1_700_000_000.5}))
    (version / "lineage.json").write_text(json.dumps(lineage))
    if live:
        (folder / "state/store/channels").mkdir(exist_ok=True)
        pointer = {"digest": digest, "previous": lineage["predecessor"], "generation": 1}
        (folder / "state/store/channels/live.json").write_text(json.dumps(pointer))


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_tables_and_facts_of_a_first_run(planted: Planted, tmp_path: Path) -> None:
    out = run(tmp_path / "run", planted.folder, pseudonymise="off")
    source = read(out / "source.json")
    assert source["clock"] == "time" and source["rows"] == {
        "items": 80,
        "events": 1440,
        "erasures": 0,
        "rules": 0,
        "users": 0,
    }
    assert source["files"] == ["events.parquet", "items.parquet"] and not source["pseudonymised"]
    assert str(tmp_path) not in json.dumps(source)
    events = read_days(out / "events")
    found = zip(*(events[name].to_pylist() for name in ("user_id", "item_id", "timestamp")), strict=True)
    assert [(u, i, t // 1_000_000) for u, i, t in found] == planted.rows
    assert pq.read_table(out / "items.parquet")["source_row"].to_pylist() == list(range(1, 81))
    assert read(out / "champion.json")["digest"] is None and read(out / "blocked.json") == []
    assert read(out / "recipe.json")["parts"].keys() == {"source", "params", "code", "lock", "environment"}


def test_users_are_pseudonyms_by_default_and_the_key_outlives_the_run(planted: Planted, tmp_path: Path) -> None:
    out = run(tmp_path / "run", planted.folder)
    key = (tmp_path / "run/state/pseudonym.key").read_bytes().strip()
    users = set(read_days(out / "events")["user_id"].to_pylist())
    assert users == {pseudonym(key, user) for user in planted.user_ids}
    assert not [name for name in out.rglob("*") if name.is_file() and b"u001" in name.read_bytes()]
    first = read(out / "recipe.json")["recipe"]
    (tmp_path / "run/state/pseudonym.key").write_text("ef" * 32 + "\n")
    out = run(tmp_path / "run", planted.folder)
    assert read(out / "recipe.json")["recipe"] != first and read(out / "source.json")["pseudonymised"]


def test_nothing_changed_means_nothing_is_written(planted: Planted, tmp_path: Path) -> None:
    out = run(tmp_path / "run", planted.folder)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    run(tmp_path / "run", planted.folder)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_two_fresh_runs_write_the_same_bytes(planted: Planted, tmp_path: Path) -> None:
    one = run(tmp_path / "one", planted.folder, pseudonymise="off")
    two = run(tmp_path / "two", planted.folder, pseudonymise="off")
    assert contents(one) == contents(two)


def test_a_new_day_adds_a_file_and_leaves_the_others(planted: Planted, tmp_path: Path) -> None:
    (tmp_path / "parts/events").mkdir(parents=True)
    (planted.folder / "items.parquet").rename(tmp_path / "parts/items.parquet")
    (planted.folder / "events.parquet").rename(tmp_path / "parts/events/night-1.parquet")
    out = run(tmp_path / "run", tmp_path / "parts", pseudonymise="off")
    before = contents(out / "events")
    (tmp_path / "parts/events/night-2.csv").write_text(
        "user_id,item_id,timestamp,event\nu001,i003,2024-03-05T20:00:00Z,play\n"
    )
    run(tmp_path / "run", tmp_path / "parts", pseudonymise="off")
    after = contents(out / "events")
    assert after.keys() - before.keys() == {"2024-03-05.parquet"} and before.items() <= after.items()


def test_a_killed_run_starts_over(planted: Planted, tmp_path: Path) -> None:
    out = run(tmp_path / "run", planted.folder, pseudonymise="off")
    whole = contents(out)
    (out / "recipe.json").unlink()  # it is written last
    (out / "events/2024-01-20.parquet").write_bytes(b"half")
    (out.parent / ".snapshot.partial").mkdir()
    run(tmp_path / "run", planted.folder, pseudonymise="off")
    assert contents(out) == whole and not (out.parent / ".snapshot.partial").exists()


def test_the_champion_is_live_unless_it_came_from_this_very_recipe(planted: Planted, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    publish(folder, "a" * 64, {"recipe": "older", "predecessor": None}, live=True)
    out = run(folder, planted.folder, pseudonymise="off")
    pinned = (out / "champion.json").read_bytes()
    assert read(out / "champion.json") == {
        "digest": "a" * 64,
        "recipe": "older",
        "data_until": 1_700_000_000.5,
        "reason": "it was live before this recipe",
    }
    recipe = read(out / "recipe.json")["recipe"]
    publish(folder, "b" * 64, {"recipe": recipe, "predecessor": "a" * 64}, live=True)
    run(folder, planted.folder, pseudonymise="off")
    assert (out / "champion.json").read_bytes() == pinned
    publish(folder, "c" * 64, {"recipe": "newer", "predecessor": "b" * 64}, live=True)
    run(folder, planted.folder, pseudonymise="off")
    assert read(out / "champion.json")["digest"] == "c" * 64


def test_a_first_version_of_this_recipe_is_not_its_own_champion(planted: Planted, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    out = run(folder, planted.folder, pseudonymise="off")
    pinned = contents(out)
    publish(folder, "a" * 64, {"recipe": read(out / "recipe.json")["recipe"], "predecessor": None}, live=True)
    run(folder, planted.folder, pseudonymise="off")
    assert contents(out) == pinned


def test_blocked_recipes_are_pinned(planted: Planted, tmp_path: Path) -> None:
    blocked = tmp_path / "run/state/store/blocked"
    blocked.mkdir(parents=True)
    (blocked / "r1.json").write_text(json.dumps({"recipe": "r1", "blocked": True}))
    (blocked / "r2.json").write_text(json.dumps({"recipe": "r2", "blocked": False}))
    assert read(run(tmp_path / "run", planted.folder) / "blocked.json") == ["r1"]


def test_an_unchanged_snapshot_imports_no_pyarrow(planted: Planted, tmp_path: Path) -> None:
    run(tmp_path / "run", planted.folder)
    script = "import sys; from tasks import snapshot; snapshot.main(); print({'pyarrow', 'torch'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "run",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NIGHTREEL_STATE": str(tmp_path / "run/state")},
    )
    assert "the source is unchanged" in done.stdout and done.stdout.strip().endswith("set()")


def test_a_bucket_is_a_source_like_a_folder(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        bucket = open_store("s3://logs/shop")
        with workspace(tmp_path), pytest.raises(UserError, match=r"s3://logs/shop: holds no items.*Check bucket"):
            write_params(tmp_path, {"snapshot.source": "s3://logs/shop"})
            snapshot.main()
        bucket.put("items.parquet", planted.folder / "items.parquet")
        bucket.put("events/2024/night-1.parquet", planted.folder / "events.parquet")
        write_params(tmp_path / "run", {"snapshot.source": "s3://logs/shop"})
        out = run_again(tmp_path / "run")
        assert read(out / "source.json")["name"] == "s3://logs/shop"
        assert read_days(out / "events").num_rows == 1440
        before = contents(out)
        assert contents(run_again(tmp_path / "run")) == before
    finally:
        server.stop()


def run_again(folder: Path) -> Path:
    with workspace(folder):
        snapshot.main()
    return folder / "data/snapshot"


def test_items_that_wait_for_the_language_model_make_the_next_night_ask(tmp_path: Path) -> None:
    note, off = tmp_path / "waiting.json", settings()
    on = settings(understand={"writer": off.understand.writer.model_dump() | {"model": "a-model"}})
    assert snapshot._turn(on, note) == 0
    for turn, items, following in ((0, 5, 1), (1, 2, 2), (2, 0, 2)):
        note.write_text(json.dumps({"turn": turn, "items": items}))
        assert snapshot._turn(on, note) == following
        assert snapshot._turn(off, note) == 0


@pytest.mark.parametrize("others", [True, False], ids=["one of two", "the only one"])
def test_withdrawals_are_read_beside_events_that_can_not_be(tmp_path: Path, others: bool) -> None:
    source = write_dataset(tmp_path / "source", users=20, items=20, events=200).folder
    items = pq.read_table(source / "items.parquet")
    pq.write_table(items.append_column("blocked", pa.array([n == 3 for n in range(20)])), source / "items.parquet")
    (source / "erasures.csv").write_text("user_id,requested_at\nu003,2024-03-01\n")
    broken = (source / "events.parquet").rename(source / "events-1.parquet")
    if others:
        shutil.copy2(broken, source / "events-2.parquet")
    os.truncate(broken, 900)
    write_params(tmp_path, {"snapshot.source": str(source), "snapshot.pseudonymise": "off"})
    with workspace(tmp_path):
        snapshot.main()
        withdraw.main()
        rights = read_json(Path("data/withdraw/withdrawals.json"))
        with pytest.raises(UserError, match=rf"^{broken.name}: is truncated or not a Parquet file"):
            validate.main()
    assert "i003" in str(rights) and "u003" in str(rights)


def test_other_files_stop_the_night_where_they_are_read(tmp_path: Path) -> None:
    """They may say what is withdrawn: nothing is applied by half."""
    source = write_dataset(tmp_path / "source", users=20, items=20, events=200).folder
    (source / "erasures.parquet").write_bytes(b"PAR1 and no more")
    write_params(tmp_path, {"snapshot.source": str(source)})
    with workspace(tmp_path), pytest.raises(UserError, match=r"^erasures.parquet: is truncated"):
        snapshot.main()
