"""Finds objects of DVC's cache that are not what their name says, and removes them, so that their stage runs again.

A power loss, a full disk or a bad copy leaves objects that are cut short. DVC itself keeps an object that is there, and
hands it to every later night that asks for what an earlier one made. Each object is hashed once, when a stage has run
or was taken from the cache, and again when its size, time or inode has changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nightreel.settings import yaml_values
from nightreel.stage import write_json

LEDGER = "dvc-objects.json"
_Known = dict[str, list[int]]


def remove_damaged(root: Path, cache: Path, state: Path, stage: str | None = None) -> list[str]:
    """Remove the damaged objects of the outs that dvc.lock names, and what was checked out of them.

    Args:
        root: The folder of dvc.lock.
        cache: DVC's cache.
        state: The state directory, whose ledger says which objects were hashed before.
        stage: The one stage whose outs are looked at; None: all.

    Returns:
        The outs with a damaged object, sorted; none if dvc.lock is missing or unreadable.
    """
    kept, known = state / LEDGER, _read(state / LEDGER)
    checked: _Known = {}
    damaged = set[str]()
    for out, name in _outs(root / "dvc.lock", stage):
        for each in _objects(cache, name):
            place = cache / "files" / "md5" / each[:2] / each[2:]
            if not place.exists():
                continue
            if each not in checked and _stamp(place) != known.get(each) and _md5(place) != each[:32]:
                place.unlink()
                damaged.add(out)
            elif place.exists():
                checked[each] = _stamp(place)
    for out in damaged:
        _remove(root / out)
    # The others' entries are kept where one stage is looked at; where all are, what dvc.lock no longer names goes.
    now = {**known, **checked} if stage else checked
    if now != known:
        write_json(kept, now)
    return sorted(damaged)


def told(out: str) -> str:
    """What is said of a damaged out."""
    return f"{out}: its copy in DVC's cache was damaged and is removed; its stage runs again"


def _outs(lock: Path, only: str | None) -> Iterator[tuple[str, str]]:
    """(path, name of its object) of the outs in dvc.lock, of all stages or of one."""
    try:
        stages: dict[str, Any] = yaml_values.read(lock.read_text("utf-8"))["stages"]
        for name, stage in stages.items():
            for out in stage.get("outs", []):
                if "md5" in out and only in (None, name):
                    yield str(out["path"]), str(out["md5"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return


def _objects(cache: Path, name: str) -> Iterator[str]:
    """The object, and those of the files in it if it is a folder's list."""
    yield name
    if name.endswith(".dir"):
        try:
            listed = json.loads((cache / "files" / "md5" / name[:2] / name[2:]).read_text("utf-8"))
            yield from (str(entry["md5"]) for entry in listed)
        except (OSError, ValueError, KeyError, TypeError):
            return  # missing or damaged: the list itself was looked at above


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _stamp(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns, facts.st_ino]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read(path: Path) -> _Known:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
