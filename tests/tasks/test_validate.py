"""Stage validate: every row is accounted for, erased users are gone, and the same input gives the same bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.data.dataset import load_dataset
from nightreel.errors import UserError
from tasks import validate
from tests.support.datasets import Planted, prepare, workspace, write_dataset

HEADER = "user_id,item_id,timestamp,event,value\n"
STAMP = 1_710_000_000


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def dirty(folder: Path) -> Planted:
    """The planted set with every kind of fault in a second file of events, a few bad items, and two erasures."""
    planted = write_dataset(folder)
    (folder / "events").mkdir()
    (folder / "events.parquet").rename(folder / "events/1.parquet")
    rows = [
        f"u001,i001,{STAMP},play,", f"u001,i001,{STAMP},play,",  # a duplicate
        f"u002,i999,{STAMP},play,",  # an unknown item
        f"u003,,{STAMP},play,",  # no item
        "u004,i001,1999-99-99,play,",  # no date
        "u005,i001,1970-01-02,play,",  # a broken clock
        "u005,i001,2038-01-19,play,",
        f"u006,i001,{STAMP},rating,9",  # impossible
        f"u007,i001,{STAMP},shout,",  # unknown
        f"u008,i001,{STAMP},play,loud",  # no number
        f"u009,i001,{STAMP}",  # too few cells
        f",i001,{STAMP},play,",  # nobody
        f"u010,b2,{STAMP},play,",  # its item is in quarantine
        f"u012,i999,{STAMP},play,",  # erased first, so not quarantined
        f"u012,i001,{STAMP},play,loud",
    ]  # fmt: skip
    (folder / "events/2.csv").write_bytes(
        (HEADER + "\n".join(rows) + "\nu011,caf\xe9,1710000000,play,\n").encode("latin-1")
    )
    written = [f'u001,i001,{STAMP},comment,,"A joy"', f'u012,i001,{STAMP},comment,,"A secret"']
    (folder / "events/3.csv").write_text(HEADER.replace("value", "value,text") + "\n".join(written) + "\n")
    items = pq.read_table(folder / "items.parquet").select(["item_id", "title", "genres"]).to_pylist()
    lines = [{"item_id": "b1", "title": " "}, {"item_id": "b2", "title": None}, {"item_id": "i001", "title": "Again"}]
    (folder / "items.parquet").unlink()
    (folder / "items.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*items, *lines]) + '{"item_id": "cut'
    )
    (folder / "erasures.csv").write_text("user_id,requested_at\nu012,2024-05-01\nu012,whenever\n,2024-05-01\n")
    (folder / "rules.csv").write_text(
        "rule,target,value,starts_at,ends_at\n"
        "pin,i003,1,2026-11-27T18:00:00Z,2026-11-28\nhdie,i004,,,\nhide,soon to come,,,\nboost,genre:romance,0.3,,\n"
    )
    return planted


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planted = dirty(tmp_path_factory.mktemp("source"))
    return prepare(
        tmp_path_factory.mktemp("run"),
        planted.folder,
        {"snapshot.pseudonymise": "on", "validate.quarantine_share": 0.5},
    )


def test_every_row_is_clean_quarantined_or_erased(run: Path) -> None:
    report = read(run / "data/validate/report.json")
    rows = {name: tuple(table[key] for key in ("in", "clean", "quarantined", "erased"))
            for name, table in report["tables"].items()}  # fmt: skip
    assert rows == {
        "items": (84, 80, 4, 0),
        "events": (1458, 1418, 13, 27),
        "erasures": (3, 2, 1, 0),
        "rules": (4, 3, 1, 0),
    }
    quarantine = pq.read_table(run / "data/validate/quarantine.parquet")
    assert quarantine.num_rows == 19
    assert read(run / "metrics/validate.json")["rows"]["events"]["quarantined"] == 13


def test_each_fault_is_found_where_it_is_and_under_its_name(run: Path) -> None:
    quarantine = pq.read_table(run / "data/validate/quarantine.parquet").to_pylist()
    found = {(row["source_file"], row["source_row"]): f"{row['rule']} {row['column']}".strip() for row in quarantine}
    events = {place[1]: rule for place, rule in found.items() if place[0] == "events/2.csv"}
    assert events == {
        2: "duplicate timestamp", 3: "unknown item item_id", 4: "empty cell item_id", 5: "wrong type timestamp",
        6: "outside the clock timestamp", 7: "in the future timestamp", 8: "impossible value value",
        9: "unknown value event", 10: "wrong type value", 11: "number of cells", 12: "empty cell user_id",
        13: "item in quarantine item_id", 16: "encoding item_id",
    }  # fmt: skip
    assert {place: rule for place, rule in found.items() if place[0] == "items.jsonl"} == {
        ("items.jsonl", 81): "empty title title", ("items.jsonl", 82): "empty cell title",
        ("items.jsonl", 83): "duplicate item_id", ("items.jsonl", 84): "not JSON",
    }  # fmt: skip
    assert found["erasures.csv", 3] == "empty cell user_id" and found["rules.csv", 2] == "unknown value rule"


def test_business_rules_are_kept_in_order_and_a_target_to_come_is_no_fault(run: Path) -> None:
    rules = pq.read_table(run / "data/validate/rules.parquet")
    assert rules.schema == RULES_SCHEMA
    assert rules["rule"].to_pylist() == ["pin", "hide", "boost"] and rules["value"].to_pylist() == [1.0, None, 0.3]
    assert rules["starts_at"][0].as_py() == dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)
    warnings = read(run / "data/validate/report.json")["warnings"]
    assert any(
        each.startswith("rules: 1 of 3 have a target that matches no item (hide soon to come)") for each in warnings
    )


def test_the_report_reads_well(run: Path) -> None:
    text = (run / "data/validate/report.md").read_text("utf-8")
    assert "| events | 1,458 | 1,418 | 13 | 27 | 0.89% |" in text
    assert "| events | outside the clock in `timestamp` | 1 | events/2.csv row 6: " in text
    assert "items.jsonl: the last line is incomplete: the file may be truncated" in text
    assert "4 of 80 items without events" in text


def test_erased_users_and_raw_ids_are_nowhere(run: Path) -> None:
    dataset = load_dataset(run / "data/validate")
    assert dataset.n_users == 59 and all(len(user) == 32 for user in dataset.user_ids)
    for path in (run / "data/validate").rglob("*"):
        assert b"u012" not in path.read_bytes() and b"u001" not in path.read_bytes(), path
    (tone,) = pq.read_table(run / "data/validate/comments.parquet")["tone"].to_pylist()
    assert tone > 0.5


def test_the_same_input_gives_the_same_bytes(run: Path) -> None:
    def contents() -> dict[str, str]:
        paths = [*(run / "data/validate").iterdir(), run / "metrics/validate.json"]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    before = contents()
    with workspace(run):
        validate.main()
    assert contents() == before and len(before) == 13


def test_above_the_threshold_it_fails_and_leaves_a_report(tmp_path: Path) -> None:
    dirty(tmp_path / "source")
    with pytest.raises(UserError) as caught:
        prepare(tmp_path / "run", tmp_path / "source", {"validate.quarantine_share": 0.005})
    message = str(caught.value)
    assert "events: 13 of 1,458 rows (0.9%) are quarantined, more than validate.quarantine_share = 0.5%" in message
    assert "1 × duplicate in `timestamp`, first in events/2.csv row 2" in message
    assert "items: 4 of 84 rows" in message and "raise validate.quarantine_share" in message
    assert "not JSON" in (tmp_path / "run/state/reports/validate.md").read_text("utf-8")
    assert not (tmp_path / "run/data/validate").exists()


def test_an_order_is_no_clock_and_the_reason_is_given(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source", clock="order")
    folder = prepare(tmp_path / "run", planted.folder) / "data/validate"
    facts = read(folder / "splits.json")
    assert facts["gate"] == "leave_last_out" and "positions per user" in facts["refused"]["global_time"]
    dataset = load_dataset(folder)
    assert dataset.clock == "order" and dataset.data_until == 23
    last = {user: item for user, item, _ in planted.rows}
    test = dataset.positives("leave_last_out", ("test",))
    assert [dataset.item_ids[item] for item in test.items] == [last[user] for user in dataset.user_ids]


def test_the_gate_is_global_time_where_it_has_users_enough(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source")
    for users, gate in ((50, "global_time"), (300, "leave_last_out")):
        folder = prepare(tmp_path / f"run{users}", planted.folder, {"validate.gate_users": users})
        assert load_dataset(folder / "data/validate").gate == gate


def test_rolling_cuts_are_named_the_latest_first_and_pool_their_users(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source")
    one = prepare(tmp_path / "one", planted.folder, {"validate.protocols": "global_time"})
    three = prepare(tmp_path / "three", planted.folder, {"validate.protocols": "global_time", "validate.cuts": 3})
    single, rolled = (read(run / "data/validate/splits.json")["protocols"]["global_time"] for run in (one, three))
    assert rolled["folds"] == ["global_time_1", "global_time_2", "global_time_3"] and single["folds"] == ["global_time"]
    assert rolled["cuts"][0] == single["cuts"][0] and rolled["cuts"][1][2] == rolled["cuts"][0][1]
    assert rolled["users"] >= single["users"] and rolled["digest"] != single["digest"]


@pytest.mark.parametrize(
    ("media", "setting", "out"),
    [
        ("video", "auto", True),
        ("music", "auto", False),
        ("podcast", "auto", False),
        ("music", "on", True),
        ("video", "off", False),
    ],
)
def test_music_may_be_repeated_unless_told_otherwise(tmp_path: Path, media: str, setting: str, out: bool) -> None:
    planted = write_dataset(tmp_path / "source", media_type=media, repeats=True)
    folder = prepare(tmp_path / "run", planted.folder, {"validate.exclude_seen": setting})
    assert load_dataset(folder / "data/validate").exclude_seen is out


def test_music_that_nobody_repeats_is_recommended_once(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source", media_type="music", repeats=False)
    assert load_dataset(prepare(tmp_path / "run", planted.folder) / "data/validate").exclude_seen


def test_a_log_of_comments_is_learned_from_with_a_warning(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source", event="comment")
    folder = prepare(tmp_path / "run", planted.folder)
    assert len(load_dataset(folder / "data/validate").positives(None).items) == len(planted.rows)
    warnings = read(folder / "data/validate/report.json")["warnings"]
    assert "no event is positive by validate.positive; watch, comment, follow count as positive instead." in warnings


def test_a_changed_title_changes_no_split(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "source")
    digests = []
    for name in ("one", "two"):
        digests.append(load_dataset(prepare(tmp_path / name, planted.folder) / "data/validate").split_digest)
        table = pq.read_table(planted.folder / "items.parquet")
        pq.write_table(
            table.set_column(1, "title", [["Renamed", *table["title"].to_pylist()[1:]]]),
            planted.folder / "items.parquet",
        )
    assert digests[0] == digests[1]


def test_after_any_failure_the_quarantined_rows_can_be_opened(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source")
    (tmp_path / "source/events.parquet").unlink()
    rows = [f"u{n % 7},i001,{STAMP + n},skip,\n" for n in range(40)] + [f"u1,b9,{STAMP},skip,\n"]
    (tmp_path / "source/events.csv").write_text(HEADER + "".join(rows))
    with pytest.raises(
        UserError, match=r"none of the 40 clean rows is positive(.|\n)*quarantined rows: .*quarantine.parquet"
    ):
        prepare(tmp_path / "run", tmp_path / "source")
    kept = pq.read_table(tmp_path / "run/state/reports/quarantine.parquet").to_pylist()
    assert [(row["source_row"], row["rule"]) for row in kept] == [(41, "unknown item")]


def test_events_of_an_item_that_could_not_be_typed_say_so(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source")
    more = "item_id,title,blocked\nb1,A film,perhaps\nb2,Another,no\n"
    (tmp_path / "source/items").mkdir()
    (tmp_path / "source/items.parquet").rename(tmp_path / "source/items/1.parquet")
    (tmp_path / "source/items/2.csv").write_text(more)
    (tmp_path / "source/events").mkdir()
    (tmp_path / "source/events.parquet").rename(tmp_path / "source/events/1.parquet")
    (tmp_path / "source/events/2.csv").write_text(f"{HEADER}u001,b1,{STAMP},play,\nu001,b3,{STAMP},play,\n")
    run = prepare(tmp_path / "run", tmp_path / "source")
    kept = pq.read_table(run / "data/validate/quarantine.parquet").to_pylist()
    found = [(row["table"], row["rule"], row["column"]) for row in kept]
    assert found == [
        ("items", "wrong type", "blocked"), ("events", "item in quarantine", "item_id"), ("events", "unknown item", "item_id")
    ]  # fmt: skip


def test_an_account_with_most_of_the_events_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "items.csv").write_text("item_id,title\n" + "".join(f"i{n},Film {n}\n" for n in range(40)))
    people = [f"u{n:02d},i{(7 * n + k) % 30},{STAMP + 60 * (40 * k + n)},play\n" for k in range(12) for n in range(40)]
    bot = [f"scraper,i{30 + n % 10},{STAMP + 17 * n},play\n" for n in range(1500)]
    (source / "events.csv").write_text("user_id,item_id,timestamp,event\n" + "".join([*people, *bot]))
    folder = prepare(tmp_path / "run", source)
    (named,) = [each for each in read(folder / "data/validate/report.json")["warnings"] if "ten times" in each]
    assert named.startswith("1 of 41 users have more than ten times the positive events of 95% of all users, together ")
    assert "has user scraper" in named and "counts as 120 events" in named
