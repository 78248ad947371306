"""Where a run's pages are: on MLflow's server while there is one, else the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nightreel.orchestration.pages import pages
from nightreel.orchestration.prefect.artifacts import markdown
from nightreel.orchestration.project import Project
from nightreel.orchestration.summary import SampleUser, summarise
from nightreel.stage import write_json


def test_pages_are_linked_where_people_can_open_them(tmp_path: Path) -> None:
    project = Project(tmp_path / "work", tmp_path / "state")
    write_json(project.root / "data/snapshot/recipe.json", {"recipe": "r1"})
    assert pages(project) == {}
    recorded = {"uri": "sqlite:///mlflow.db", "run_id": "abc", "experiment_id": "7"}
    write_json(project.state / "mlflow/recorded/r1.json", recorded)
    page = project.state / "reports/r1/understanding.html"
    page.parent.mkdir(parents=True)
    page.write_text("…")
    assert pages(project) == {"catalogue": page.as_uri()}

    write_json(project.state / "up.json", {"mlflow": "http://127.0.0.1:5000"})
    address = "http://127.0.0.1:5000/#/experiments/7/runs/abc/artifacts/report/understanding.html"
    assert pages(project) == {"catalogue": address}
    assert f"[catalogue]({address})" in markdown(summarise(project, [], 3))

    recorded["uri"] = "https://me:secret@mlflow.example/base/"
    write_json(project.state / "mlflow/recorded/r1.json", recorded)
    (found,) = pages(project).values()
    assert found == "https://mlflow.example/base/#/experiments/7/runs/abc/artifacts/report/understanding.html"


def test_a_title_loads_and_links_nothing_where_a_run_is_shown(tmp_path: Path) -> None:
    title = "![x](http://tracker.example/1.png) [y](javascript:alert(1)) <img src=z> `a` | b\nc"
    sample = SampleUser("u", False, (title,), ({"rank": 1, "title": title, "item_id": title},))
    empty = summarise(Project(tmp_path / "work", tmp_path / "state"), [], 3)
    shown = markdown(replace(empty, sample=sample))
    assert "](" not in shown and "<" not in shown and "`a" not in shown.replace("\\`", "")
    assert shown.count("tracker.example") == 3 and "\\| b c" in shown, "all on one line"
