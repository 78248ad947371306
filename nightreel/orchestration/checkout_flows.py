"""Loads the `flows` folder of a checkout, which is not part of the installed package."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from nightreel.errors import UserError


def load(root: Path, name: str) -> ModuleType:
    """Import a module of a checkout's folder `flows`.

    Raises:
        UserError: The file is missing.
    """
    if not (root / "flows" / f"{name}.py").is_file():
        raise UserError(f"{root / 'flows'}: there is no {name}.py. Run `git status` in the clone and restore the file.")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return import_module(f"flows.{name}")
