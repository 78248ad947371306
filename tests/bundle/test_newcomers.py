"""The folder newcomers/ of a bundle: who is in it, and that a damaged one is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle import newcomers
from nightreel.bundle.format import BundleError
from nightreel.data.dataset import load_dataset
from nightreel.models.newcomers.context import ContextLog
from nightreel.models.newcomers.segments import Segments
from nightreel.reader.reader import Reader
from tests.support.bundles import reseal
from tests.support.datasets import prepare, write_dataset
from tests.support.newcomers import write_with_newcomers


def test_only_users_without_events_have_a_row_with_the_selected_columns(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "source").folder
    rows = [f"u{n:03d},{'DE' if n % 2 else 'FR'},free" for n in range(60)]
    new = ["new1,DE,free", "new2,FR,", "new3,LI,paid", "new4,,free"]
    (folder / "users.csv").write_text("\n".join(["user_id,country,plan", *rows, *new]))
    data = load_dataset(prepare(tmp_path / "run", folder) / "data/validate")
    log = ContextLog.of(data, None)
    segments = Segments.fit(log, ["country"], 10.0, 0.0)
    newcomers.write(tmp_path, data, segments, data.positives(None), log)
    read = newcomers.Newcomers.read(tmp_path, data.n_items)
    assert read is not None and read.ids.to_pylist() == ["new1", "new2"]
    assert read.segments.labels(read.of_user("new1")["country"]) == [("country", "de")]
    assert read.of_user("new3") == read.of_user("u000") == {} and "plan" in read.names
    content = (tmp_path / "newcomers/users.parquet").read_bytes() + (tmp_path / "newcomers/segments.json").read_bytes()
    assert b"LI" not in content and b"free" not in content and b"paid" not in content


@pytest.mark.parametrize("fault", ["rows", "items", "labels", "order", "json", "names", "lacking"])
def test_a_damaged_folder_is_refused_by_name(tmp_path: Path, fault: str) -> None:
    write_with_newcomers(tmp_path / "bundle")
    root = tmp_path / "bundle/newcomers"
    if fault == "rows":
        np.save(root / "indptr.npy", np.load(root / "indptr.npy")[:-1])
    elif fault == "items":
        np.save(root / "indices.npy", np.load(root / "indices.npy") + 1000)
    elif fault == "labels":
        table = pa.table([["anna"], [[7]]], schema=newcomers.SCHEMA)
        pq.write_table(table, root / "users.parquet")
    elif fault == "order":
        table = pa.table([["bert", "anna"], [[1], [0]]], schema=newcomers.SCHEMA)
        pq.write_table(table, root / "users.parquet")
    elif fault == "names":
        (root / "segments.json").write_text('{"columns": [["country", ["de", "fr"]]], "names": "abc"}')
    elif fault == "json":
        (root / "segments.json").write_text('{"columns": 3}')
    else:
        (root / "users.parquet").unlink()
    reseal(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"newcomers|users\.parquet"):
        Reader.open_bundle(tmp_path / "bundle")
