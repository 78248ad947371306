"""Finds the code that each stage of dvc.yaml depends on, from its imports, and writes it there.

    python -m nightreel.orchestration.dvc.code_deps            check that dvc.yaml lists what the stages import
    python -m nightreel.orchestration.dvc.code_deps --write    update dvc.yaml

Needs the extra `test` (grimp). If a stage imports most files of a folder, the folder is listed instead of the files.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

import grimp

from nightreel.errors import UserError
from nightreel.models import registry
from nightreel.orchestration import project
from nightreel.settings import yaml_values

PACKAGES = ("nightreel", "tasks")
FOLDER_SHARE = 0.75
_BLOCK = re.compile(r"(?ms)^  (\w+):\n    cmd: python -m (tasks\.\w+)\n(.*?)(?=^  \w|^\w|\Z)")


def code_deps(root: Path) -> dict[str, list[str]]:
    """Stage → files and folders of the code that it imports, for every stage that DVC may skip."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
    stages = yaml_values.read((root / "dvc.yaml").read_text("utf-8"))["stages"]
    return {
        name: _folded(root, _imported(root, graph, str(stage["cmd"]).split()[-1]))
        for name, stage in stages.items()
        if not stage.get("always_changed")
    }


def is_empty(path: Path) -> bool:
    """Whether a file only marks a package: nothing depends on what is in it."""
    return path.name == "__init__.py" and not ast.parse(path.read_text("utf-8")).body[1:]


def _imported(root: Path, graph: grimp.ImportGraph, module: str) -> set[str]:
    found = {module, *graph.find_upstream_modules(module)}
    if registry.__name__ in found:  # which imports the models' files by name
        for name in registry.modules():
            found |= {name, *graph.find_upstream_modules(name)}
    files = [_file(root, name) for name in found]
    return {path.relative_to(root).as_posix() for path in files if not is_empty(path)}


def _file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _folded(root: Path, files: set[str]) -> list[str]:
    """Files, with a folder in the place of its own where most of them are listed."""
    folders = sorted({parent for file in files for parent in Path(file).parents if len(parent.parts) > 1})
    listed, left = list[str](), set(files)
    for folder in folders:  # an outer folder comes before its inner ones
        inside = {p.relative_to(root).as_posix() for p in (root / folder).rglob("*.py") if not is_empty(p)}
        wanted = inside & left
        if len(inside) > 1 and len(wanted) >= FOLDER_SHARE * len(inside):
            listed.append(folder.as_posix())
            left -= inside
    return sorted([*listed, *left])


def written(text: str, deps: dict[str, list[str]]) -> str:
    """dvc.yaml's text with these code deps in the place of its own; all else stays as it is."""

    def block(found: re.Match[str]) -> str:
        name, _, body = found.groups()
        if name not in deps:
            return found[0]
        own = re.compile(rf"(?m)^      - (?:{'|'.join(PACKAGES)})/\S+\n")
        lines = "".join(f"      - {dep}\n" for dep in deps[name])
        return found[0].replace(body, own.sub("", body).replace("    deps:\n", f"    deps:\n{lines}", 1))

    return _BLOCK.sub(block, text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="The code deps of dvc.yaml's stages.")
    parser.add_argument("--write", action="store_true", help="write them into dvc.yaml")
    arguments = parser.parse_args()
    path = project.find().root / "dvc.yaml"
    text = path.read_text("utf-8")
    new = written(text, code_deps(path.parent))
    if new == text:
        print("dvc.yaml is up to date")
    elif arguments.write:
        path.write_text(new, "utf-8")
        print("dvc.yaml was updated")
    else:
        sys.exit("dvc.yaml: the listed code is not what its stages import. Run this command with --write.")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
