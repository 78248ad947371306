"""Frees DVC's cache of what nothing names any more, as `dvc gc` does, but in a second and by the nights that are kept.

An object of the cache is named by a dvc.lock or a `.dvc` file, or by the list of a folder that is named there. DVC's
own run cache names outs, too: DVC looks whether they are still there before it uses an entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from nightreel.settings import yaml_values

NAME = re.compile(r"\bmd5: ([0-9a-f]{32}(?:\.dir)?)\b")
"""The name of an object, in a dvc.lock or `.dvc` file."""
FOLDER_LIST = ".dir"


@dataclass(frozen=True)
class SweptObjects:
    """What a sweep removed, or would remove: number of objects, and their bytes."""

    objects: int = 0
    size: int = 0


def names_in(text: str) -> frozenset[str]:
    """The objects that a dvc.lock or `.dvc` file names.

    Example:
        >>> sorted(names_in("outs: [{path: data, md5: 0bfd4e905c361483988f662ea6876784.dir}]"))
        ['0bfd4e905c361483988f662ea6876784.dir']
    """
    return frozenset(NAME.findall(text))


def place_of(cache: Path, name: str) -> Path:
    """The file of an object."""
    return cache / "files" / "md5" / name[:2] / name[2:]


def files_of(cache: Path, name: str) -> dict[str, str]:
    """The files of a folder: relative path → name of its object; empty if its list is missing or damaged."""
    try:
        return {
            str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(place_of(cache, name).read_text("utf-8"))
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def sweep(cache: Path, named: Iterable[str], before: float, *, dry_run: bool = False) -> SweptObjects:
    """Remove the objects that are neither named nor younger.

    Args:
        cache: DVC's cache.
        named: Names of objects to keep; those in the folders among them are kept, too.
        before: Epoch seconds: what came into the cache later stays, since a run may be about to name it.
        dry_run: Remove nothing.
    """
    kept = set(named)
    kept |= {file for name in list(kept) if name.endswith(FOLDER_LIST) for file in files_of(cache, name).values()}
    objects = size = 0
    for path in _objects(cache):
        facts = path.stat()
        if path.parent.name + path.name in kept or facts.st_ctime >= before:
            continue
        objects, size = objects + 1, size + facts.st_size
        if not dry_run:
            path.unlink()
    if not dry_run:
        _sweep_run_cache(cache, before)
    return SweptObjects(objects, size)


def _objects(cache: Path) -> Iterator[Path]:
    for folder in sorted((cache / "files" / "md5").glob("[0-9a-f][0-9a-f]")):
        yield from (path for path in sorted(folder.iterdir()) if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name))


def _sweep_run_cache(cache: Path, before: float) -> None:
    """Remove the entries of DVC's run cache whose outs are gone: they are of no use any more."""
    for entry in (cache / "runs").glob("*/*/*"):
        try:
            outs = yaml_values.read(entry.read_text("utf-8")).get("outs", [])
            gone = any("md5" in out and not place_of(cache, out["md5"]).exists() for out in outs)
        except (OSError, yaml.YAMLError, AttributeError, TypeError):
            continue
        if gone and entry.stat().st_ctime < before:
            entry.unlink()
