"""`nightreel watch` and `status` with a params.yaml that no run can use: it is told, and does not end the watch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nightreel.cli import nights

ROOT = Path(__file__).parents[2]
app = typer.Typer()
app.command()(nights.watch)
app.command()(nights.status)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's root with a text where a number should be."""
    text = (ROOT / "params.yaml").read_text("utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("late_minutes: 15", "late_minutes: soon"), "utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", "utf-8")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("NIGHTREEL_NOTIFY", raising=False)
    return tmp_path


def test_a_watch_tells_of_the_fault_and_goes_on_looking(broken: Path) -> None:
    found = CliRunner().invoke(app, ["watch", "--once"])
    assert found.exit_code == 1 and "watch.late_minutes: Input should be a valid number" in found.output
    assert "Traceback" not in found.output and (broken / "state" / "status.html").exists()


def test_the_status_names_it_first(broken: Path) -> None:
    found = CliRunner().invoke(app, ["status", "--json"])
    first = json.loads(found.stdout)["alerts"][0]
    assert found.exit_code == 1 and first["kind"] == "settings" and first["urgent"]
    assert first["text"].startswith("the next night can't begin") and first["remedy"].startswith("Correct the field")
