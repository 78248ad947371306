"""What of a night is not in MLflow stands in its summary: in the terminal, as JSON and in Prefect."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from nightreel.cli.terminal_view import TerminalView
from nightreel.orchestration.prefect.artifacts import markdown
from nightreel.orchestration.project import Project
from nightreel.orchestration.summary import RunSummary, summarise
from nightreel.stage import write_json

WHY = "not recorded: MLflow at http://host:5000 does not respond. Check the address and the server."


def doors(summary: RunSummary) -> list[str]:
    """The text of each."""
    console = Console(file=io.StringIO(), width=300)
    TerminalView(console, 8).summary(summary, {})
    assert isinstance(console.file, io.StringIO)
    return [console.file.getvalue(), markdown(summary), str(summary.as_json()["recorded"])]


@pytest.mark.parametrize("recipe", ["r1", "of another night", None])
def test_every_door_says_it(tmp_path: Path, recipe: str | None) -> None:
    project = Project(tmp_path / "work", tmp_path / "state")
    write_json(project.root / "data/snapshot/recipe.json", {"recipe": "r1"})
    if recipe:
        write_json(project.state / "mlflow/outcome.json", {"recipe": recipe, "recorded": False, "line": WHY})
    said = WHY if recipe == "r1" else f"not recorded: {project.state}/mlflow/outcome.json has no entry for this run."
    for text in doors(summarise(project, [], 3)):
        assert said in text
