"""The withdraw stage: tonight's tables hold for what is live at once, whatever becomes of the night."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightreel.bundle.format import digest_of
from nightreel.cli.versions import withdrawn_ids
from nightreel.orchestration.dvc import pipeline
from nightreel.reader.reader import Reader
from nightreel.settings import yaml_values
from nightreel.stage import write_json
from nightreel.store import channels
from nightreel.store.backends.base import Store
from nightreel.store.fence import VARIABLE, LostLock
from nightreel.store.open import open_store
from nightreel.store.publisher import publish as send
from tasks import publish, snapshot, validate, withdraw
from tests.support.bundles import write_bundle

ROOT = Path(__file__).parents[2]
HEADER = "item_id,title,blocked,expires_at\n"


def items(*blocked: int, others: str = "") -> str:
    rows = [f"i{n:03d},Film {n},{'true' if n in blocked else ''},\n" for n in range(30)]
    return HEADER + "".join(rows) + others


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a source of its own, and a store in which nothing is live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    settings(tmp_path)
    (tmp_path / "source").mkdir()
    events = [f"u{n:03d},i{n % 30:03d},{1_767_225_600 + 60 * n},play,1\n" for n in range(60)]
    (tmp_path / "source" / "events.csv").write_text("user_id,item_id,timestamp,event,value\n" + "".join(events))
    return tmp_path


def settings(folder: Path, **publishing: Any) -> None:
    params = yaml_values.read((ROOT / "params.yaml").read_text("utf-8"))
    params["snapshot"] |= {"source": str(folder / "source"), "pseudonymise": "off"}
    params["publish"] |= publishing
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def night(workspace: Path, catalogue: str, erased: str = "", rules: str = "") -> None:
    """Its first two stages."""
    source = workspace / "source"
    (source / "items.csv").write_text(catalogue)
    for name, header, rows in (("erasures", "user_id", erased), ("rules", "rule,target", rules)):
        (source / f"{name}.csv").unlink(missing_ok=True)
        if rows:
            (source / f"{name}.csv").write_text(f"{header}\n{rows}")
    snapshot.main()
    withdraw.main()


def told() -> dict[str, Any]:
    return dict(json.loads(Path("data/withdraw/withdrawals.json").read_text("utf-8")))


@pytest.fixture
def live(workspace: Path) -> Store:
    """A version of 30 items and 40 users is live, and the night before withdrew nothing."""
    write_bundle(workspace / "bundle")
    store = open_store()
    send(store, workspace / "bundle", channel="live", champion=None, lineage={"recipe": "before"})
    night(workspace, items())
    return store


def shown(user: str = "u002") -> set[str]:
    return {each.item_id for each in Reader.open().recommend(user, k=30, exclude_seen=False)}


def test_a_takedown_and_an_erasure_are_live_before_the_night_is_judged(
    live: Store, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night(workspace, items(3, 4), erased="u002\nu003\n", rules="hide,i005\n")
    assert not shown() & {"i003", "i004", "i005"} and len(shown()) == 27
    assert Reader.open().knows(["u002", "u003", "u004"]).tolist() == [False, False, True]
    assert f"withdrawn from channel live of {live.uri}: 3 more items, 2 more users" in capsys.readouterr().out
    note = json.loads((workspace / "state" / "notes" / "withdraw.json").read_text())
    assert note == {"items": 3, "users": 2, "warnings": []}


def test_a_second_run_with_nothing_changed_swaps_nothing(live: Store, workspace: Path) -> None:
    night(workspace, items(3), erased="u002\n")
    pointer, content = channels.live(live), Path("data/withdraw/withdrawals.json").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (workspace / "state" / "store").rglob("*")}
    night(workspace, items(3), erased="u002\n")
    assert channels.live(live) == pointer and Path("data/withdraw/withdrawals.json").read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in (workspace / "state" / "store").rglob("*")} == written


def test_an_item_that_left_the_catalogue_is_withdrawn_and_one_with_a_faulty_row_is_not(
    live: Store, workspace: Path
) -> None:
    rows = items().replace("i007,Film 7,,\n", "").replace("i008,Film 8,,\n", "i008,,,\n")
    rows = rows.replace("i009,Film 9,,\n", "i009,Film 9,true,soon\n").replace("i010,Film 10,,", "i010,Film 10,,soon")
    rows = rows.replace("i011,Film 11,,", "i011,,true,2099-01-01")
    night(workspace, rows)
    assert set(told()["items"]["unread"]) == {"i008", "i009", "i010", "i011"}
    assert {f"i{n:03d}" for n in range(30)} - shown() == {"i007", "i009", "i011"}


def test_a_window_stays_while_a_row_cannot_be_read(live: Store, workspace: Path) -> None:
    night(workspace, items().replace("i010,Film 10,,\n", "i010,Film 10,,2020-01-01\n"))
    assert "i010" not in shown()
    night(workspace, items().replace("i010,Film 10,,\n", "i010,Film 10,,soon\n"))
    assert "i010" not in shown()
    night(workspace, items())
    assert "i010" in shown()


def test_an_inverted_column_warns_and_leaves_items_as_they_are(
    live: Store, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night(workspace, items(3))
    night(workspace, items(*(n for n in range(30) if n != 3)), erased="u002\n")
    assert "warning: the table items would hide 29 of the 29 items that channel live shows" in capsys.readouterr().out
    assert len(shown()) == 29 and not Reader.open().knows(["u002"])[0]


def test_on_a_first_night_publish_takes_it_from_the_stages_out(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night(workspace, items(3), erased="u002\n")
    assert "to be left out of the first version of channel live" in capsys.readouterr().out and told()["items"][
        "blocked"
    ] == ["i003"]
    assert not (workspace / "state" / "store").exists()
    write_json(Path("data/snapshot/champion.json"), {"digest": None})
    write_json(Path("data/evaluate/decision.json"), {"decision": "promote", "label": "baseline"})
    write_bundle(workspace / "data" / "refit" / "bundle")
    publish.main()
    assert Reader.open().digest == digest_of(workspace / "data" / "refit" / "bundle")
    assert "i003" not in shown() and not Reader.open().knows(["u002"])[0]


def test_a_dry_run_changes_nothing_in_the_store(live: Store, workspace: Path) -> None:
    before = channels.live(live)
    settings(workspace, dry_run=True)
    night(workspace, items(3))
    assert channels.live(live) == before and told()["items"]["blocked"] == ["i003"]


def test_a_run_that_lost_its_lock_withdraws_nothing(
    live: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, before = workspace / "run.lock", channels.live(live)
    lock.write_text(json.dumps({"lock": "one", "number": 2}))
    monkeypatch.setenv(VARIABLE, f"one:1:{lock}")
    with pytest.raises(LostLock):
        night(workspace, items(3))
    assert channels.live(live) == before
    monkeypatch.setenv(VARIABLE, f"one:2:{lock}")
    night(workspace, items(3))
    after = channels.live(live)
    assert after is not None and after.fence == {"lock": "one", "number": 2}


def test_erased_users_under_another_key_are_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(workspace / "bundle", key=b"1" * 64)
    send(open_store(), workspace / "bundle", channel="live", champion=None, lineage={})
    night(workspace, items(), erased="u002\n")
    assert "was pseudonymised with another key" in capsys.readouterr().out
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", "1" * 64)
    withdrawn_ids.withdraw(open_store(), None, withdrawn_ids.Named((), ("u003",)))
    night(workspace, items())
    assert "the 1 users who were withdrawn by hand can't be matched" in capsys.readouterr().out
    assert json.loads(Path("data/snapshot/forgotten.json").read_text()) == {"users": []}


def test_the_stage_comes_before_validate_and_nothing_after_it_is_needed() -> None:
    order = [stage.name for stage in pipeline.read(ROOT)]
    stages = {stage.name: stage for stage in pipeline.read(ROOT)}
    assert order.index("snapshot") < order.index("withdraw") < order.index("validate")
    assert stages["withdraw"].upstream == ("snapshot",) and stages["withdraw"].outside
    assert {"snapshot", "withdraw"} <= set(stages["validate"].upstream)
    assert "withdraw" in stages["publish"].upstream


def test_what_could_be_read_is_pure_of_times_and_of_the_store(live: Store, workspace: Path) -> None:
    night(workspace, items(3), erased="u009\n", rules="pin,i004\n")
    assert set(told()) == {"format", "items", "erased", "rules"}
    assert told()["erased"] == ["u009"]
    table = pq.read_table("data/snapshot/items.parquet")
    assert told()["items"]["catalogue"] == sorted(table["item_id"].to_pylist())
    assert isinstance(table, pa.Table)


def test_the_next_night_learns_nothing_of_who_was_withdrawn_by_hand(live: Store, workspace: Path) -> None:
    """Their events stayed in the next version's histories and models: only the doors knew that they were withdrawn."""
    events = [
        f"u{n:03d},i{(n + 7 * m) % 30:03d},{1_767_225_600 + 60 * n + m},play,1\n" for n in range(60) for m in (0, 1, 2)
    ]
    (workspace / "source" / "events.csv").write_text("user_id,item_id,timestamp,event,value\n" + "".join(events))
    night(workspace, items(), erased="u009\n")
    recipe = Path("data/snapshot/recipe.json").read_bytes()
    withdrawn_ids.withdraw(live, None, withdrawn_ids.Named((), ("u002", "u003")))
    night(workspace, items(), erased="u009\n")
    assert Path("data/snapshot/recipe.json").read_bytes() != recipe
    validate.main()
    known = pq.read_table("data/validate/users.parquet")["user_id"].to_pylist()
    assert "u004" in known and not {"u002", "u003", "u009"} & set(known)
    withdrawn_ids.give_back(live, None, withdrawn_ids.Named((), ("u002", "u003")))
    night(workspace, items(), erased="u009\n")
    assert Path("data/snapshot/recipe.json").read_bytes() == recipe
    validate.main()
    assert "u002" in pq.read_table("data/validate/users.parquet")["user_id"].to_pylist()
