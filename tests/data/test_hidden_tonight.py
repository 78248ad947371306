"""What may not be shown at the night's now: by the machine's clock or the moment handed in, and nothing but the set."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.schema import MOMENT
from nightreel.settings.section import SettingsError
from nightreel.settings.validate import Snapshot
from tasks import snapshot
from tests.support.datasets import REPOSITORY, workspace, write_dataset, write_params

EVE, DAY, LATER = "2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z", "2026-09-01T00:00:00Z"


@pytest.fixture(params=["time", "order"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """i000 is blocked and expires too; i001 expires on 1 June, i002 appears then; i003 appears in 2099; i004 is given
    twice, the second time blocked, which validate sets aside."""
    folder = write_dataset(tmp_path / "source", clock=request.param).folder
    table = pq.read_table(folder / "items.parquet")
    june = dt.datetime.fromisoformat(DAY)
    published, expires = table["published_at"].to_pylist(), [None] * table.num_rows
    published[2], published[3] = june, dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
    expires[0], expires[1] = dt.datetime(2026, 8, 1, tzinfo=dt.UTC), june
    place = table.column_names.index("published_at")
    table = table.set_column(place, "published_at", pa.array(published, MOMENT))
    table = table.append_column("expires_at", pa.array(expires, MOMENT))
    table = table.append_column("blocked", pa.array([i == 0 for i in range(table.num_rows)]))
    again = table.slice(4, 1).set_column(table.column_names.index("blocked"), "blocked", [[True]])
    pq.write_table(pa.concat_tables([table, again]), folder / "items.parquet")
    return folder


def today(folder: Path, source: Path, moment: Any) -> dict[str, Any]:
    write_params(folder, {"snapshot.source": str(source), "snapshot.moment": moment})
    with workspace(folder):
        snapshot.main()
    return json.loads((folder / "data/snapshot/today.json").read_text())  # type: ignore[no-any-return]


def test_rights_at_the_nights_moment(source: Path, tmp_path: Path) -> None:
    hidden = [today(tmp_path / "run", source, moment)["hidden"] for moment in (EVE, DAY, LATER, "2100-01-01")]
    both = ["i000", "i001"]
    assert hidden == [["i000", "i002", "i003"], [*both, "i003"], [*both, "i003"], both]


def test_the_machines_clock_stands_for_an_empty_moment(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (EVE, LATER):
        monkeypatch.setattr("time.time", lambda now=now: dt.datetime.fromisoformat(now).timestamp())
        assert today(tmp_path / "machine", source, "") == today(tmp_path / "handed-in", source, now)


def test_it_changes_only_when_the_set_does(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, path = tmp_path / "run", tmp_path / "run/data/snapshot"

    def by_the_clock(moment: str) -> None:
        monkeypatch.setattr(Snapshot, "now", lambda _: dt.datetime.fromisoformat(moment).timestamp())
        today(folder, source, "")

    by_the_clock(DAY)
    before = {each: each.stat().st_mtime_ns for each in path.rglob("*")}
    told = (path / "today.json").read_bytes()
    recipe = json.loads((path / "recipe.json").read_text())["recipe"]
    by_the_clock(LATER)  # the blocked item's own edge, in August, lies between
    assert {each: each.stat().st_mtime_ns for each in path.rglob("*")} == before
    by_the_clock(EVE)
    assert (path / "today.json").read_bytes() != told
    assert json.loads((path / "recipe.json").read_text())["recipe"] == recipe  # what a version is made from is the same
    by_the_clock(LATER)
    assert (path / "today.json").read_bytes() == told


def test_an_unchanged_night_reads_no_table(source: Path, tmp_path: Path) -> None:
    today(tmp_path / "run", source, DAY)
    code = "import sys; from tasks import snapshot; snapshot.main(); print('pyarrow' in sys.modules)"
    with workspace(tmp_path / "run"):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); {code}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("moment", ["soon", 5, None])
def test_a_moment_that_is_none_is_refused(source: Path, tmp_path: Path, moment: Any) -> None:
    with pytest.raises(SettingsError, match=r"snapshot\.moment: .* is no point in time\. Write one in UTC, like 2026-"):
        today(tmp_path / "run", source, moment)


def test_a_catalogue_without_rights(tmp_path: Path) -> None:
    found = today(tmp_path / "run", write_dataset(tmp_path / "source").folder, "2026-06-01")
    assert found["hidden"] == [] and found["until"] is None
