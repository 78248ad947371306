"""The table `users`: from the source to slices, with pseudonyms, without erased users, and without what is no attribute."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.schema import PROFILES_SCHEMA
from nightreel.data.dataset import load_dataset, with_named
from nightreel.data.privacy import pseudonym
from nightreel.errors import UserError
from nightreel.evaluation.segments.slice_definitions import slices_of
from nightreel.evaluation.test_set import build_test_set
from tests.support.datasets import prepare, write_dataset

TABLE = """user_id,country,age_band,languages,plan,labels,signed_up_at,tier
{members}
new1,AT,18-24,de|en,free,Crime|Horror,2026-01-31,b
new2,DE,25-34,de,free,,whenever,a
new2,CH,35-44,fr,free,,2026-01-01,a
 u003,AT,,,u004,ann@example.org|Drama,,b
u005,DE,,,,,,a
gone,DE,,,,,,a
,DE,,,,,,a
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_dataset(tmp_path_factory.mktemp("source")).folder
    members = (f"u{n:03d},{'DE' if n % 2 else 'FR'},,,,,,a" for n in range(60) if n not in (3, 5))
    (folder / "users.csv").write_text(TABLE.format(members="\n".join(members)))
    (folder / "erasures.csv").write_text("user_id\nu005\ngone\n")
    changes = {
        "snapshot.pseudonymise": "on",
        "evaluate.slices": ["users.country", "users.tier"],
        "validate.quarantine_share": 0.2,
    }
    return prepare(tmp_path_factory.mktemp("run"), folder, changes)


def test_rows_are_clean_set_aside_or_erased_and_nothing_is_lost(run: Path) -> None:
    report = json.loads((run / "data/validate/report.json").read_text("utf-8"))
    counts = {key: report["tables"]["users"][key] for key in ("in", "clean", "quarantined", "erased")}
    assert counts == {"in": 65, "clean": 61, "quarantined": 2, "erased": 2}
    aside = pq.read_table(run / "data/validate/quarantine.parquet").to_pylist()
    assert {(row["table"], row["rule"], row["column"]) for row in aside} == {
        ("users", "duplicate", "user_id"), ("users", "empty cell", "user_id")
    }  # fmt: skip
    assert any("`signed_up_at` can't be read" in warning for warning in report["warnings"])


def test_newcomers_are_kept_and_ids_are_pseudonyms_under_the_one_key(run: Path) -> None:
    key = (run / "state/pseudonym.key").read_bytes().strip()
    data = load_dataset(run / "data/validate")
    assert data.profiles is not None and data.profiles.schema == PROFILES_SCHEMA
    rows = {row["user_id"]: row for row in data.profiles.to_pylist()}
    newcomer = rows[pseudonym(key, "new1")]
    assert (newcomer["country"], newcomer["languages"], newcomer["labels"]) == ("AT", ["de", "en"], ["Crime", "Horror"])
    assert rows[pseudonym(key, "new2")]["country"] == "DE"  # of two rows the first
    assert not {pseudonym(key, user) for user in ("gone", "u005")} & set(rows)
    own = rows[pseudonym(key, "u003")]  # written without the space in the events
    assert own["country"] == "AT"


def test_ids_of_persons_stand_in_no_column_and_in_no_file(run: Path) -> None:
    data = load_dataset(run / "data/validate")
    assert data.profiles is not None
    key = (run / "state/pseudonym.key").read_bytes().strip()
    (own,) = (row for row in data.profiles.to_pylist() if row["user_id"] == pseudonym(key, "u003"))
    assert own["plan"] is None and own["labels"] == ["Drama"]
    for path in (*run.glob("data/**/*.parquet"), *run.glob("data/**/*.json")):
        assert b"new1" not in path.read_bytes() and b"example.org" not in path.read_bytes(), path


def test_attributes_and_named_columns_are_slices_of_their_users(run: Path) -> None:
    data = with_named(load_dataset(run / "data/validate"), run / "data/named")
    trial = build_test_set(data, "leave_last_out", None)
    slices = {(each.by, each.name): each.rows for each in slices_of(data, [trial], ["users.country", "users.tier"])}
    key = (run / "state/pseudonym.key").read_bytes().strip()
    french = {pseudonym(key, f"u{n:03d}") for n in range(0, 60, 2)}
    found = [data.user_ids[user] in french for user in trial.users]
    assert slices["country", "FR"].tolist() == found and {"a", "b"} <= {name for by, name in slices if by == "tier"}


def test_without_the_table_no_output_names_it(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "run", write_dataset(tmp_path / "source").folder)
    assert load_dataset(folder / "data/validate").profiles is None
    assert not (folder / "data/validate/profiles.parquet").exists()
    for name in ("report.json", "arrivals.json", "report.md"):
        assert "| users |" not in (text := (folder / "data/validate" / name).read_text("utf-8")), name
        assert '"users": {' not in text, name


def test_a_table_without_ids_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "source").folder
    (folder / "users.csv").write_text("member,country\nann,DE\n")
    with pytest.raises(UserError, match=r"users.csv: column `user_id` .* is missing"):
        prepare(tmp_path / "run", folder)
