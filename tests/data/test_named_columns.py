"""Columns beyond the contract that `evaluate.slices` names: from the source to slices and groups of the report."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset, with_named
from nightreel.errors import UserError
from nightreel.evaluation.reporting.report_data import _labelled
from nightreel.evaluation.segments.slice_definitions import slices_of
from nightreel.evaluation.test_set import build_test_set
from tests.support.datasets import Planted, prepare, write_dataset

NAMED = ["items.studio", "items.budget", "events.member", "events.age", "items.language"]


def widened(folder: Path) -> Planted:
    """A studio and a budget of each item; of each user whether they are a member (Parquet) and an age (text, as CSV
    has it), in every row of theirs. The first item comes twice: its second row goes to quarantine."""
    planted = write_dataset(folder)
    items = pq.read_table(folder / "items.parquet")
    twice = pa.concat_tables([items, items.slice(0, 1)])
    studios = [f"s{n % 2}" for n in range(len(items))] + ["none"]
    budgets = [float(n) for n in range(len(items))] + [-1.0]
    pq.write_table(
        twice.append_column("studio", [studios]).append_column("budget", [budgets]), folder / "items.parquet"
    )
    events = pq.read_table(folder / "events.parquet")
    users = [int(user[1:]) for user in events["user_id"].to_pylist()]
    events = events.append_column("member", [[n % 3 == 0 for n in users]])
    pq.write_table(events.append_column("age", [[str(20 + n) for n in users]]), folder / "events.parquet")
    return planted


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planted = widened(tmp_path_factory.mktemp("source"))
    changes = {"evaluate.slices": NAMED, "snapshot.pseudonymise": "off", "validate.quarantine_share": 0.5}
    return prepare(tmp_path_factory.mktemp("run"), planted.folder, changes)


def test_named_columns_reach_the_slices_and_stand_by_the_right_rows(run: Path) -> None:
    data = load_dataset(run / "data/validate")
    assert not {"studio", "budget"} & set(data.items.column_names)  # no other stage sees them
    wide = with_named(data, run / "data/named")
    ids = [int(item[1:]) for item in data.item_ids]
    assert wide.items["studio"].to_pylist() == [f"s{n % 2}" for n in ids]
    users = [int(data.user_ids[user][1:]) for user in data.events["user"].to_pylist()]
    assert wide.events["age"].to_pylist() == [str(20 + n) for n in users]
    asked = build_test_set(data, "leave_last_out", None)
    found = slices_of(wide, [asked], NAMED)
    told = {by: [each for each in found if each.by == by] for by in ("studio", "budget", "member", "age")}
    assert {each.name for each in told["studio"]} == {"s0", "s1"}
    assert len(told["budget"]) == len(told["age"]) == 3  # numbers: three parts
    member = next(each for each in told["member"] if each.name == "true")
    assert _labelled(wide, NAMED) == ["creators", "language", "studio"]
    assert member.rows.tolist() == [int(data.user_ids[user][1:]) % 3 == 0 for user in asked.users]


def test_a_column_that_is_named_later_changes_no_table_of_the_other_stages(run: Path, tmp_path: Path) -> None:
    source = Path((run / "params.yaml").read_text().split("source: ")[1].split("\n")[0].strip("'\""))
    changes = {"evaluate.slices": [], "snapshot.pseudonymise": "off", "validate.quarantine_share": 0.5}
    plain = prepare(tmp_path / "run", source, changes)
    for name in ("items", "events", "users", "splits"):
        path = f"data/validate/{name}.parquet"
        assert (plain / path).read_bytes() == (run / path).read_bytes(), name
    data = load_dataset(plain / "data/validate")
    assert with_named(data, plain / "data/named").items.column_names == data.items.column_names


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("items.colour", r"evaluate.slices: 'items.colour': items.csv has no such column. Correct the name"),
        ("events.positive", r"evaluate.slices: 'events.positive': this name is reserved"),
    ],
)
def test_a_column_that_is_not_there_is_told_before_anything_else(tmp_path: Path, named: str, message: str) -> None:
    planted = write_dataset(tmp_path / "source")
    items = pq.read_table(planted.folder / "items.parquet").select(["item_id", "title"])
    pv.write_csv(items, planted.folder / "items.csv")
    (planted.folder / "items.parquet").unlink()
    with pytest.raises(UserError, match=message):
        prepare(tmp_path / "run", planted.folder, {"evaluate.slices": [named]})
