"""Every example runs as a reader of the repository would run it, on a small published version where it needs one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle
from tests.support.datasets import prepare

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one small version, live."""
    folder = tmp_path_factory.mktemp("examples")
    write_bundle(folder / "bundle")
    publish(open_store(str(folder / "store")), folder / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return folder / "store"


def run(*words: str, cwd: Path, **environment: str) -> str:
    """What a Python process prints."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(cwd / "state"), **environment}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text("utf-8")
    for path in EXAMPLES.iterdir():
        assert not path.is_file() or path.name in tested


def test_own_data_is_a_source_that_validates(tmp_path: Path) -> None:
    text = run(str(EXAMPLES / "own_data.py"), "films", cwd=tmp_path)
    assert "films/items.csv: 120 rows" in text and "films/rules.csv: 1 rows" in text
    workspace = prepare(tmp_path / "night", tmp_path / "films")
    report = json.loads((workspace / "data/validate/report.json").read_text("utf-8"))
    assert all(table["quarantined"] == 0 for table in report["tables"].values()), report["tables"]


def test_a_service_reads_lists_with_reasons(store: Path, tmp_path: Path) -> None:
    text = run(str(EXAMPLES / "read_from_a_service.py"), str(store), "u001", cwd=tmp_path)
    assert "user u001\n  1. Space story" in text and text.endswith("healthy\n")


def test_a_model_is_added(tmp_path: Path) -> None:
    text = run(str(EXAMPLES / "add_a_model.py"), cwd=tmp_path)
    assert "after items 3, 4, 5: [6," in text and "the same scores" in text


def test_the_notebook_explores_a_version(store: Path, tmp_path: Path) -> None:
    notebook = json.loads((EXAMPLES / "explore_a_version.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = run("-c", "\n".join(cells), cwd=tmp_path, NIGHTREEL_STORE=str(store))
    assert "30 items, 40 users" in text and "of the catalogue occurs in a list" in text and "popular:" in text
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "clear the outputs before committing"
