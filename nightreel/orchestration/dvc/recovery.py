"""Repairs DVC's own files after a kill -9: DVC writes dvc.lock and its table of busy paths in place, so either may be
truncated.

Before each stage a copy of dvc.lock is saved; it still exists after the stage only if the stage was killed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped,unused-ignore]
import yaml

from nightreel.settings import yaml_values

NOTHING = b""  # the saved copy if there was no dvc.lock yet


def begin(root: Path) -> None:
    """Repair what a killed run left, then save a copy of dvc.lock. The caller must hold the run's lock."""
    heal(root)
    lock, aside = root / "dvc.lock", _aside(root)
    aside.parent.mkdir(parents=True, exist_ok=True)
    working = aside.with_suffix(".partial")
    working.write_bytes(lock.read_bytes() if lock.exists() else NOTHING)
    working.rename(aside)


def done(root: Path) -> None:
    """Remove the saved copy, because the stage ended by itself and DVC's files are complete."""
    _aside(root).unlink(missing_ok=True)


def heal(root: Path) -> None:
    """After a kill, restore a truncated dvc.lock and release the paths that dead processes hold."""
    aside = _aside(root)
    if not aside.exists():
        return
    if not whole(root / "dvc.lock"):
        if aside.read_bytes() == NOTHING:
            (root / "dvc.lock").unlink(missing_ok=True)
        else:
            working = root / ".dvc.lock.partial"
            shutil.copy2(aside, working)
            os.replace(working, root / "dvc.lock")  # noqa: PTH105
    _release_the_dead(root / ".dvc" / "tmp" / "rwlock")
    aside.unlink()


def whole(lock: Path) -> bool:
    """Whether DVC can read the lock file; a missing one counts as readable."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid  # DVC's

    try:
        if lock.exists():
            COMPILED_LOCKFILE_SCHEMA(yaml_values.read(lock.read_text("utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid, TypeError):
        return False
    return True


def _release_the_dead(busy: Path) -> None:
    """Release the paths of dead processes: DVC itself treats zombie processes as alive."""
    try:
        table: dict[str, dict[str, Any]] = json.loads(busy.read_text("utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        busy.unlink()
        return
    kept = {
        "read": {
            path: alive for path, all_ in table.get("read", {}).items() if (alive := [i for i in all_ if _alive(i)])
        },
        "write": {path: info for path, info in table.get("write", {}).items() if info and _alive(info)},
    }
    working = busy.with_suffix(".partial")
    working.write_text(json.dumps({mode: paths for mode, paths in kept.items() if paths}), "utf-8")
    working.rename(busy)


def _alive(info: dict[str, Any]) -> bool:
    try:
        return bool(psutil.Process(int(info["pid"])).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _aside(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "dvc.lock.before"
