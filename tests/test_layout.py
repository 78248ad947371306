"""The layout is what DESIGN says: code deps are the real imports, stages are listed once, modules stay small."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import grimp
import pytest
import yaml

from flows import graph

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
FOLDERS = ("flows", "serving", "tasks")
MODULES = sorted([*(path for name in FOLDERS for path in (ROOT / name).rglob("*.py")), ROOT / "nightreel.py"])
MAX_LINES, MAX_STAGE_LINES, MAX_FUNCTION_LINES = 250, 150, 50
FOLDER_SHARE = 0.75  # a folder stands for its files only where a stage needs most of them


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("tasks", cache_dir=None)


def code(module: str) -> str:
    """The file of a module, from the root."""
    path = Path(*module.split("."))
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


def listed(deps: list[str]) -> set[str]:
    """The Python files that a stage's deps name, folders opened; package markers that hold nothing don't count."""
    found: set[str] = set()
    for dep in deps:
        path = ROOT / dep
        found |= {
            str(p.relative_to(ROOT)) for p in (path.rglob("*.py") if path.is_dir() else [path]) if p.suffix == ".py"
        }
    return {name for name in found if not empty(name)}


def empty(name: str) -> bool:
    return name.endswith("__init__.py") and not ast.parse((ROOT / name).read_text("utf-8")).body[1:]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_code_deps_are_what_it_imports(stage: str, imports: grimp.ImportGraph) -> None:
    found = re.fullmatch(r"python -m (tasks\.\w+)", STAGES[stage]["cmd"])
    assert found and found[1] == f"tasks.{stage}"
    deps = [dep for dep in STAGES[stage].get("deps", []) if dep.startswith("tasks")]
    if STAGES[stage].get("always_changed"):
        assert not deps, "a stage that always runs needs none"
        return
    real = {name for name in map(code, imports.find_upstream_modules(found[1]) | {found[1]}) if not empty(name)}
    folders = [dep for dep in deps if (ROOT / dep).is_dir()]
    assert not real - listed(deps)
    assert listed([dep for dep in deps if dep not in folders]) <= real
    for folder in folders:
        inside = listed([folder])
        assert len(inside & real) >= FOLDER_SHARE * len(inside), f"{folder}: list the files"


def test_every_stage_has_its_module_and_every_stage_module_is_a_stage() -> None:
    modules = {path.stem for path in (ROOT / "tasks").glob("*.py") if "stage_main(main)" in path.read_text("utf-8")}
    assert modules == set(STAGES)


def test_every_dep_is_there_or_another_stages_out() -> None:
    outs = [out for stage in graph.read(ROOT) for out in stage.outs]
    for stage in graph.read(ROOT):
        for dep in stage.deps:
            made = any(Path(dep).is_relative_to(out) for out in outs)
            assert made or (ROOT / dep).exists(), f"{stage.name}: {dep}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    most = MAX_STAGE_LINES if path.parent == ROOT / "tasks" and path.stem in STAGES else MAX_LINES
    assert text.count("\n") <= most
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name
    assert not {"utils", "helpers", "common", "manager"} & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("*.py")), ids=lambda path: path.name)
def test_the_stages_are_listed_in_dvc_yaml_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            named = {each.value for each in node.elts if isinstance(each, ast.Constant)} & set(STAGES)
            assert len(named) < 3, f"{path.name}:{node.lineno} lists {sorted(named)}"
