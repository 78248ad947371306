"""`nightreel report`: the run that ended last, or the one that made a version."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nightreel.cli.main import app
from nightreel.errors import UserError
from nightreel.orchestration.find_report import find
from nightreel.store.backends.local import LocalStore

DIGEST = "ab" * 32


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path))
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    store = LocalStore(tmp_path / "store")
    for name, text in (("manifest", {}), ("lineage", {"recipe": "first"})):
        store.put(f"versions/{DIGEST}/{name}.json", json.dumps(text).encode())
    return tmp_path


def page(state: Path, recipe: str, age: int) -> Path:
    path = state / "reports" / f"{recipe}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(recipe)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_last_run_and_the_run_of_a_version(state: Path) -> None:
    first, last = page(state, "first", 100), page(state, "zero", 0)
    assert find(None, None) == last
    assert find(DIGEST[:8], None) == first
    shown = CliRunner().invoke(app, ["report", DIGEST[:8], "--json"])
    assert json.loads(shown.stdout) == {"report": str(first)}
    assert CliRunner().invoke(app, ["report"]).stdout.strip() == str(last)


def test_where_there_is_none_it_says_what_to_do(state: Path) -> None:
    with pytest.raises(UserError, match="there is no report yet"):
        find(None, None)
    with pytest.raises(UserError, match=f"the report of version {DIGEST[:12]} is not on this machine.*MLflow"):
        find(DIGEST, None)
