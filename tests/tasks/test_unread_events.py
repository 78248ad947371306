"""A file of events that can't be read stops the night, and what is withdrawn that night takes effect all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.errors import UserError
from nightreel.stage import read_json
from tasks import snapshot, validate, withdraw
from tests.support import datasets


@pytest.mark.parametrize("others", [True, False], ids=["one of two", "the only one"])
def test_withdrawals_are_read_beside_events_that_can_not_be(tmp_path: Path, others: bool) -> None:
    source = datasets.write_dataset(tmp_path / "source", users=20, items=20, events=200).folder
    items = pq.read_table(source / "items.parquet")
    pq.write_table(items.append_column("blocked", pa.array([n == 3 for n in range(20)])), source / "items.parquet")
    (source / "erasures.csv").write_text("user_id,requested_at\nu003,2024-03-01\n")
    broken = (source / "events.parquet").rename(source / "events-1.parquet")
    if others:
        shutil.copy2(broken, source / "events-2.parquet")
    os.truncate(broken, 900)
    datasets.write_params(tmp_path, {"snapshot.source": str(source), "snapshot.pseudonymise": "off"})
    with datasets.workspace(tmp_path):
        snapshot.main()
        withdraw.main()
        rights = read_json(Path("data/withdraw/withdrawals.json"))
        with pytest.raises(UserError, match=rf"^{broken.name}: is truncated or not a Parquet file"):
            validate.main()
    assert "i003" in str(rights) and "u003" in str(rights)


def test_other_files_stop_the_night_where_they_are_read(tmp_path: Path) -> None:
    """They may say what is withdrawn: nothing is applied by half."""
    source = datasets.write_dataset(tmp_path / "source", users=20, items=20, events=200).folder
    (source / "erasures.parquet").write_bytes(b"PAR1 and no more")
    datasets.write_params(tmp_path, {"snapshot.source": str(source)})
    with datasets.workspace(tmp_path), pytest.raises(UserError, match=r"^erasures.parquet: is truncated"):
        snapshot.main()
