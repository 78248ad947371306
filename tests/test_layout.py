"""The layout is what the architecture says: stages, rooms without circles, small files, a name for one thing."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from nightreel.orchestration.dvc import code_deps, pipeline
from nightreel.settings import yaml_values

ROOT = Path(__file__).parents[1]
STAGES = yaml_values.read((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
FOLDERS = ("nightreel", "tasks", "flows")
MODULES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))
MAX_LINES, MAX_STAGE_LINES, MAX_FUNCTION_LINES, MAX_FILES = 300, 150, 60, 15


@dataclass(frozen=True)
class Module:
    """What the tests ask of a file, from one pass over its syntax: there are hundreds of files."""

    lines: int
    """Without those of docstrings: a module does not become large by being documented."""
    functions: dict[str, int]
    """Lines of the body: the signature of a command is the list of its options."""
    flows: set[str]
    """Functions that are decorated as a Prefect flow."""
    classes: list[str]
    stages: list[tuple[int, set[str]]]
    """Line of a list, tuple or set, and the stages that it names."""


@functools.cache
def read(path: Path) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    found = Module(text.count("\n") - _docstring_lines(tree), {}, set(), [], [])
    found.classes.extend(each.name for each in tree.body if isinstance(each, ast.ClassDef))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found.functions[f"{node.name}:{node.lineno}"] = (node.end_lineno or 0) - node.body[0].lineno
            if any(ast.unparse(each).startswith("flow") for each in node.decorator_list):
                found.flows.add(node.name)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            named = {each.value for each in node.elts if isinstance(each, ast.Constant)} & set(STAGES)
            found.stages.append((node.lineno, named))
    return found


def _docstring_lines(tree: ast.Module) -> int:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body]
    found = [each for each in first if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)]
    return sum((each.end_lineno or 0) - each.lineno + 1 for each in found)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*FOLDERS, cache_dir=None)


def test_the_code_deps_of_stages_are_what_they_import() -> None:
    text = (ROOT / "dvc.yaml").read_text("utf-8")
    found = code_deps.code_deps(ROOT)
    assert code_deps.written(text, found) == text, "run: python -m nightreel.orchestration.dvc.code_deps --write"
    assert found["finetune"] and all(f"tasks/{stage}.py" in deps for stage, deps in found.items())


def test_a_dep_that_is_missing_is_written() -> None:
    text = (ROOT / "dvc.yaml").read_text("utf-8")
    assert code_deps.written(text.replace("      - tasks/embed.py\n", ""), code_deps.code_deps(ROOT)) == text


def test_every_command_of_a_stage_is_a_file_of_tasks_and_stages_that_always_run_list_no_code() -> None:
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python -m tasks.{name}"
        body = ast.parse((ROOT / "tasks" / f"{name}.py").read_text("utf-8")).body
        assert any(isinstance(node, ast.FunctionDef) and len(node.body) > 2 for node in body), f"{name} is a shim"
        if stage.get("always_changed"):
            assert not [dep for dep in stage.get("deps", []) if dep.endswith(".py")]


def test_every_entrypoint_is_a_file_of_flows_and_flows_are_nowhere_else() -> None:
    deployments = yaml_values.read((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    for deployment in deployments:
        path, name = deployment["entrypoint"].split(":")
        assert path.startswith("flows/") and name in read(ROOT / path).flows
    assert [path for path in MODULES if read(path).flows and path.parent != ROOT / "flows"] == []


def test_no_circle_at_any_level(imports: grimp.ImportGraph) -> None:
    """Files and folders that lie beside one another import one another one way only, for types too."""
    beside: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importer in imports.modules:
        for imported in imports.find_modules_directly_imported_by(importer):
            one, other = importer.split("."), imported.split(".")
            shared = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
            if shared is not None:
                beside[".".join(one[:shared])][one[shared]].add(other[shared])
    for package, edges in beside.items():
        try:
            list(TopologicalSorter(edges).static_order())
        except CycleError as error:
            raise AssertionError(f"{package or 'the root'}: {' → '.join(error.args[1])}") from None


def folders() -> Iterator[Path]:
    for name in (*FOLDERS, "tests", "benchmarks"):
        yield from {path.parent for path in (ROOT / name).rglob("*.py")}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_folder_can_be_read() -> None:
    files = {
        named(folder): [path.name for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"]
        for folder in folders()
    }
    assert {folder: len(found) for folder, found in files.items() if len(found) > MAX_FILES} == {}


def test_no_class_has_the_name_of_another() -> None:
    where = defaultdict(list)
    for path in MODULES:
        for name in read(path).classes:
            if not name.startswith("_"):
                where[name].append(named(path))
    assert {name: found for name, found in where.items() if len(found) > 1} == {}


def test_every_stage_has_its_module_and_every_stage_module_is_a_stage() -> None:
    modules = {path.stem for path in (ROOT / "tasks").glob("*.py") if "stage_main(main)" in path.read_text("utf-8")}
    assert modules == set(STAGES)


def test_every_dep_is_there_or_another_stages_out() -> None:
    outs = [out for stage in pipeline.read(ROOT) for out in stage.outs]
    for stage in pipeline.read(ROOT):
        for dep in stage.deps:
            made = any(Path(dep).is_relative_to(out) for out in outs)
            assert made or (ROOT / dep).exists(), f"{stage.name}: {dep}"


def test_modules_and_functions_stay_small() -> None:
    stages = [ROOT / "tasks" / f"{stage}.py" for stage in STAGES]
    modules = {named(path): read(path).lines for path in MODULES if path not in stages}
    functions = {f"{named(path)}:{name}": n for path in MODULES for name, n in read(path).functions.items()}
    assert {path: n for path, n in modules.items() if n > MAX_LINES} == {}
    assert {named(path): read(path).lines for path in stages if read(path).lines > MAX_STAGE_LINES} == {}
    assert {name: n for name, n in functions.items() if n >= MAX_FUNCTION_LINES} == {}


def test_no_module_is_named_after_nothing() -> None:
    empty = {"utils", "helpers", "common", "manager"}
    assert [named(path) for path in MODULES if empty & set(path.relative_to(ROOT).with_suffix("").parts)] == []


def test_the_stages_are_listed_in_dvc_yaml_alone() -> None:
    """A stage names those whose files it reads, and a section of params.yaml has the name of its stage."""
    inside = [path for path in MODULES if named(path).startswith("nightreel/")]
    lists = {named(path): read(path).stages for path in inside if not named(path).startswith("nightreel/settings/")}
    assert [(path, line) for path, found in lists.items() for line, stages in found if len(stages) >= 3] == []
