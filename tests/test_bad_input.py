"""Every bad input ends in one message that names the file, row or field and says what to do; exit code 1, no traceback,
and what was published before stays as it is. First the data (CASES), then the world around a run (OUTSIDE)."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.stage import stage_main
from nightreel.store.open import open_store
from tasks import snapshot, validate
from tests.contracts.servers import set_environment
from tests.support.datasets import REPOSITORY, workspace, write_dataset, write_params
from tests.support.toy import OUTER

HEADER = "user_id,item_id,timestamp,event\n"


def write(name: str, content: str | bytes, *, instead_of: str = "") -> Callable[[Path], None]:
    """A change: this file in the source, in place of another one."""

    def change(source: Path) -> None:
        if instead_of:
            (source / instead_of).unlink()
        (source / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda source: (source / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        content = (source / name).read_bytes()
        (source / name).write_bytes(content[: len(content) // 2])

    return change


def column(name: str, column: str, cells: Callable[[pa.Table], Any] | None) -> Callable[[Path], None]:
    """A change: the column of the Parquet file replaced, or dropped."""

    def change(source: Path) -> None:
        table = pq.read_table(source / name)
        at = table.column_names.index(column)
        pq.write_table(
            table.set_column(at, column, cells(table)) if cells else table.drop_columns([column]), source / name
        )

    return change


def locked(source: Path) -> None:
    (source / "events.parquet").chmod(0)


def events_csv(*rows: str) -> Callable[[Path], None]:
    return write("events.csv", HEADER + "".join(f"{row}\n" for row in rows), instead_of="events.parquet")


GZ_HALF = (lambda content: content[: len(content) // 2])(
    gzip.compress((HEADER + "".join(f"u{n},i{n * n},{n},play\n" for n in range(999))).encode())
)
FEW = [f"u{user},i00{item},2024-01-0{item},play" for user in range(5) for item in (1, 2)]

CASES: list[tuple[str, Callable[[Path], None], dict[str, Any], str]] = [
    (
        "no such folder",
        lambda s: None,
        {"snapshot.source": "nowhere"},
        r"snapshot.source 'nowhere': folder not found. Give a folder",
    ),
    (
        "a file for a folder",
        lambda s: None,
        {"snapshot.source": "params.yaml"},
        r"'params.yaml': is a file, not a folder",
    ),
    (
        "an empty folder",
        lambda s: [p.unlink() for p in s.iterdir()] and None,
        {},
        r"holds no items\.\* file.*A source holds",
    ),
    ("no events", remove("events.parquet"), {}, r"holds no events\.\* file.*A source holds items"),
    ("a table twice", write("items.csv", "item_id,title\n"), {}, r"items.csv and items.parquet both hold .*Keep one"),
    (
        "a column missing",
        column("events.parquet", "item_id", None),
        {},
        r"events.parquet: column `item_id` \(.*\) is missing; found user_id, timestamp, event, value. Add it",
    ),
    (
        "a column misspelt",
        write("items.csv", "itemid,title\n1,A\n", instead_of="items.parquet"),
        {},
        r"items.csv: column `item_id` .* is missing; found itemid, title. Rename `itemid`\?",
    ),
    (
        "another delimiter",
        write("items.csv", "item_id;title\n1;A\n", instead_of="items.parquet"),
        {},
        r"items.csv: column `item_id` .* is missing; found item_id;title. Separate the columns by commas",
    ),
    (
        "a column twice",
        write("items.csv", "item_id,title,title\n1,A,B\n", instead_of="items.parquet"),
        {},
        r"items.csv: column `title` appears 2 times. Keep one",
    ),
    (
        "a column of the wrong type",
        column("events.parquet", "timestamp", lambda t: pa.array([True] * t.num_rows)),
        {},
        r"events.parquet: column `timestamp` is bool; expected timestamps, as ISO 8601 text .* epoch seconds\. Convert",
    ),
    (
        "nested titles",
        column("items.parquet", "title", lambda t: pa.array([["x"]] * t.num_rows)),
        {},
        r"items.parquet: column `title` is list<.*>; expected text. Convert",
    ),
    (
        "no cell is a date",
        events_csv(*(f"u{n},i001,tomorrow,play" for n in range(9))),
        {},
        r"column `timestamp` is invalid in every row, first in row 1: \{\"timestamp\": \"tomorrow\"\}; expected timestamps",
    ),
    (
        "types of events of another system",
        events_csv(*FEW, *("u1,i003,2024-01-03,click",) * 2, "u2,i003,2024-01-03,view"),
        {},
        r"3 × unknown value in `event`.* \(click 2, view 1; expected: one of impression, play",
    ),
    (
        "age ratings",
        write("items.csv", "item_id,title,min_age\ni001,A,12\ni002,B,PG-13\n", instead_of="items.parquet"),
        {},
        r"1 × wrong type in `min_age`, .*\"PG-13\".* \(expected: whole numbers from 0 to 99\)",
    ),
    (
        "watches in percent",
        write(
            "events.csv",
            "user_id,item_id,timestamp,event,value\n"
            + "".join(f"{row},\n" for row in FEW)
            + "u1,i003,2024-01-03,watch,79.1\n",
            instead_of="events.parquet",
        ),
        {},
        r"1 × impossible value in `value`.* \"value\": 79.1\} \(expected: watch 0 to 1; rating 0.5 to 5\)",
    ),
    (
        "a log delivered twice",
        events_csv(*FEW, *FEW),
        {},
        r"10 × duplicate in `timestamp`.*duplicate: An earlier row says the same .*delivered twice\?",
    ),
    (
        "an empty file",
        write("events.csv", "", instead_of="events.parquet"),
        {},
        r"events.csv: is empty. Add a header and rows",
    ),
    ("a header only", events_csv(), {}, r"events.csv: the table events has no rows. Provide at least one"),
    (
        "an empty Parquet table",
        column("items.parquet", "title", lambda t: t["title"]),
        {"empty": True},
        r"items.parquet: the table items has no rows",
    ),
    (
        "a Parquet file cut in half",
        cut("events.parquet"),
        {},
        r"events.parquet: is truncated or not a Parquet file .*Copy the file again",
    ),
    (
        "text named Parquet",
        write("events.parquet", HEADER),
        {},
        r"events.parquet: is truncated or not a Parquet file .*correct its extension",
    ),
    (
        "a gzip cut in half",
        write("events.csv.gz", GZ_HALF, instead_of="events.parquet"),
        {},
        r"events.csv.gz: the .gz stream is truncated or damaged .*Copy the file again",
    ),
    (
        "UTF-16",
        write("events.csv", HEADER.encode("utf-16"), instead_of="events.parquet"),
        {},
        r"events.csv: is encoded as UTF-16. Save it as UTF-8",
    ),
    (
        "a Latin-1 header",
        write("events.csv", HEADER.encode().replace(b"event", b"\xe9vent"), instead_of="events.parquet"),
        {},
        r"events.csv: the first line is not a header in UTF-8. Put the column names",
    ),
    (
        "a quote never closed",
        write("items.csv", 'item_id,title\ni001,"A\n' + "a line of a long story\n" * 900, instead_of="items.parquet"),
        {},
        r"items.csv: a quoted cell that begins in row 1 is never closed: it swallows 90[12] lines. Export",
    ),
    (
        "no row can be taken apart",
        events_csv("u1", "u2", "u3"),
        {},
        r"events: all 3 rows are quarantined:\n  3 × number of cells, first in",
    ),
    (
        "all rows quarantined",
        events_csv(*(row.replace("play", "shout") for row in FEW)),
        {},
        r"all 10 rows are quarantined:\n  10 × unknown value in `event`, first in events.csv row 1: .*\nCorrect the source",
    ),
    (
        "too many quarantined",
        events_csv(*FEW, *(f"u9,i77{n},2024-01-05,play" for n in range(5))),
        {},
        r"5 of 15 rows \(33.3%\) are quarantined, more than .*5.0%:\n  5 × unknown item in `item_id`, first in .* row 11",
    ),
    (
        "nothing positive",
        events_csv(*(row.replace("play", "skip") for row in FEW)),
        {},
        r"events: none of the 10 clean rows is positive by validate.positive.* Add one of their event types: skip",
    ),
    (
        "everybody erased",
        write("erasures.csv", "user_id\n" + "".join(f"u{n:03d}\n" for n in range(60))),
        {},
        r"events: no clean row remains: 1,440 of 1,440 rows are erased, 0 quarantined\.\nViolations",
    ),
    (
        "a rule misspelt",
        write("rules.csv", "rule,target\npin,i001\nhdie,i002\n"),
        {},
        r"rules: 1 of 2 rows \(50.0%\) are quarantined, .*\n  1 × unknown value in `rule`, first in rules.csv row 2",
    ),
    (
        "a rule without its value",
        write("rules.csv", "rule,target,value\nmax_per_genre,,\n"),
        {},
        r"rules: all 1 rows are quarantined:\n  1 × empty cell in `value`, first in rules.csv row 1",
    ),
    (
        "a value that is no number",
        write("rules.csv", "rule,target,value\nboost,i001,much\npin,i002,first\n"),
        {},
        r"rules.csv: column `value` is invalid in every row, first in row 1: {\"value\": \"much\"}; expected numbers\. ",
    ),
    (
        "rules after which every list is empty",
        write("rules.csv", "rule,target\nonly,language:tlh\n"),
        {},
        r"rules: with rules.csv row 1 .*language:tlh.* no item may be shown.*Correct or remove some of them",
    ),
    (
        "too little to test on",
        events_csv(*FEW),
        {},
        r"events: no test split is possible: leave_last_out: no user has positive events on three .*Provide more",
    ),
    (
        "a cut in time without a clock",
        events_csv(*(f"u{n % 5},i00{n % 9},{n},play" for n in range(45))),
        {"validate.protocols": "global_time"},
        r"global_time: timestamps are positions per user, .*set validate.protocols",
    ),
    (
        "a gate without a clock",
        events_csv(*(f"u{n % 5},i00{n % 9},{n},play" for n in range(45))),
        {"validate.gate": "global_time"},
        r"validate.gate: global_time is not available: .*Choose another protocol, or auto",
    ),
    (
        "an unknown parameter",
        lambda s: None,
        {"validate.quarantine": 0.1},
        r"params.yaml: validate.quarantine: Extra inputs .*\nCorrect",
    ),
    (
        "a parameter out of bounds",
        lambda s: None,
        {"validate.test_share": 0.9},
        r"params.yaml: validate.test_share: Input should be",
    ),
]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(("change", "params", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_data_ends_in_one_clear_message(
    change: Callable[[Path], None],
    params: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_dataset(tmp_path / "source")
    change(tmp_path / "source")
    if params.pop("empty", False):
        table = pq.read_table(tmp_path / "source/items.parquet")
        pq.write_table(table.slice(0, 0), tmp_path / "source/items.parquet")
    folder = tmp_path / "run"
    write_params(folder, {"snapshot.source": str(tmp_path / "source"), "snapshot.pseudonymise": "off", **params})
    (folder / "state/store").mkdir(parents=True)
    (folder / "state/store/published").write_text("as it was")
    with workspace(folder), pytest.raises(SystemExit) as left:
        stage_main(snapshot.main)
        stage_main(validate.main)
    shown = capsys.readouterr().err
    assert left.value.code == 1 and shown.startswith("error: ") and shown.count("error: ") == 1
    assert re.search(message, shown, re.DOTALL), shown
    assert "Traceback" not in shown and not (folder / "data/validate").exists()
    assert tree(folder / "state/store") == {"published": b"as it was"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test_bad_data_ends_in_one_clear_message(locked, {}, r"events.parquet: permission denied", tmp_path, capsys)


def test_as_a_process_it_exits_with_1_and_shows_a_traceback_only_when_asked(tmp_path: Path) -> None:
    write_params(tmp_path, {"snapshot.source": "nowhere"})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NIGHTREEL_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-m", "tasks.snapshot"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    environment["NIGHTREEL_TRACEBACK"] = "1"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr


def refused(folder: Path, seaweed: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """snapshot asks the store what is live, with a wrong secret."""
    return [sys.executable, "-m", "tasks.snapshot"], seaweed | {"AWS_SECRET_ACCESS_KEY": "wrong"}


def unreachable(folder: Path, seaweed: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """The same with no server at the address."""
    return [sys.executable, "-m", "tasks.snapshot"], seaweed | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)}"}


def full(folder: Path, seaweed: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """snapshot writes its tables into a file system of 16 kB (one of its own, in a namespace of its own)."""
    (folder / "data").mkdir()
    mount = f"mount -t tmpfs -o size=16k none {folder / 'data'} && exec {sys.executable} -m tasks.snapshot"
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount], seaweed


def taken(folder: Path, seaweed: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """`nightreel up` on the object store's own port."""
    port = seaweed["AWS_ENDPOINT_URL"].rpartition(":")[2]
    return [sys.executable, "-c", "from nightreel.cli.main import main; main()", "up", "--port", port], seaweed


OUTSIDE = [
    ("a store that refuses the credentials", refused, r"refused the credentials.*Check AWS_ACCESS_KEY_ID"),
    ("a store that is not there", unreachable, r"127\.0\.0\.1:\d+"),
    ("no disk space", full, r"no space left on the device\. Free some"),
    ("a port in use", taken, r"in use.*nightreel up --port"),
]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        # A store that does not answer is asked three times, with pauses.
        pytest.param(fault, message, id=name, marks=[pytest.mark.end_to_end] if fault is unreachable else [])
        for name, fault, message in OUTSIDE
    ],
)
def test_a_fault_around_the_run_ends_in_one_clear_message(
    fault: Callable[[Path, dict[str, str]], tuple[list[str], dict[str, str]]],
    message: str,
    seaweed: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_dataset(tmp_path / "source")
    folder = tmp_path / "run"
    write_params(folder, {"snapshot.source": str(tmp_path / "source"), "snapshot.pseudonymise": "off"})
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvc/config"):  # what makes a folder a checkout
        shutil.copy(REPOSITORY / name, folder / name)
    set_environment(monkeypatch, seaweed)
    store = open_store(seaweed["NIGHTREEL_STORE"])
    store.put("channels/live.json", b'{"digest": "as it was"}')
    command, environment = fault(folder, seaweed)
    base = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}
    given = base | environment | {"PYTHONPATH": str(REPOSITORY), "NIGHTREEL_STATE": str(tmp_path / "state")}
    if fault is full:
        given |= {"NIGHTREEL_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=120)
    temporary = fault is unreachable  # exit code 75: the nightly flow tries again
    assert done.returncode == (75 if temporary else 1) and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("error: ") == 1
    assert re.search(message, done.stderr, re.DOTALL), done.stderr
    assert store.get("channels/live.json") == b'{"digest": "as it was"}'
