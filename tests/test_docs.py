"""README and documentation name only what is there; MkDocs itself checks the links inside the site (`./check lint`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightreel.settings import yaml_values

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.py")])
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FILE = re.compile(
    r"\b(?P<path>(?:nightreel|tasks|flows|benchmarks|tests|examples|docs)/[\w/]+\.(?:py|ipynb|md|svg|png))\b"
)
MODULE = re.compile(r"python -m (?P<module>(?:benchmarks|nightreel|tasks)[\w.]*\w)")
MAX_README = 200


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_and_command_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    written = {"nightreel/models/neighbors/my_model.py", "tasks/my_stage.py"}  # what the reader is to write
    for found in FILE.finditer(text):
        assert found["path"] in written or (ROOT / found["path"]).is_file(), found["path"]
    for found in MODULE.finditer(text):
        path = ROOT / found["module"].replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), found[0]


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=ids)
def test_links_of_pages_outside_the_site_lead_somewhere(page: Path) -> None:
    for found in LINK.finditer(page.read_text("utf-8")):
        target, _, anchor = found["target"].partition("#")
        if target.startswith("http"):
            continue
        assert (ROOT / target).exists(), found[0]
        if anchor:
            assert anchor in anchors(ROOT / target), found[0]


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as both GitHub and MkDocs write them where a heading has only words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").read_text("utf-8").count("\n") <= MAX_README


def test_the_pages_speak_of_stages_and_parameters_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    for stage in yaml_values.read((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]:
        assert f"| {stage} |" in text


def test_workflow_and_hooks_run_the_projects_own_checks() -> None:
    workflow = yaml_values.read((ROOT / ".github/workflows/check.yml").read_text("utf-8"))
    assert workflow["jobs"]["check"]["steps"][-1] == {"run": "./check"}
    hooks = yaml_values.read((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "mypy"}
