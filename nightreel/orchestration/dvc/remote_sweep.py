"""Frees DVC's remote of what no kept night needs any more, where the remote is the store's own folder."""

from __future__ import annotations

import json
from collections.abc import Collection

from nightreel.orchestration.dvc.cache_sweep import FOLDER_LIST, SweptObjects
from nightreel.orchestration.dvc.dvc_config import REMOTE_FOLDER
from nightreel.store.backends.base import Missing, Store

OBJECTS = f"{REMOTE_FOLDER}/files/md5/"


def sweep_remote(
    store: Store, named: Collection[str], before: float, *, among: Collection[str] | None = None, dry_run: bool = False
) -> SweptObjects:
    """Remove the objects that are neither named nor younger.

    Args:
        store: The store whose folder is the remote.
        named: Names of objects to keep; those in the folders among them are kept, too.
        before: Epoch seconds: what was pushed later stays.
        among: Names of the only objects that may go, and with them those in the folders among them; None: any.
        dry_run: Remove nothing.
    """
    pushed = {key.removeprefix(OBJECTS).replace("/", ""): (key, size) for key, size in store.list(OBJECTS).items()}
    gone = set(pushed if among is None else _with_files(store, pushed, among)) - _with_files(store, pushed, named)
    objects = total = 0
    for name in sorted(gone & pushed.keys()):
        key, size = pushed[name]
        try:
            if store.written(key) >= before:
                continue
        except Missing:  # removed by somebody else
            continue
        objects, total = objects + 1, total + size
        if not dry_run:
            store.delete(key)
    return SweptObjects(objects, total)


def _with_files(store: Store, pushed: dict[str, tuple[str, int]], named: Collection[str]) -> set[str]:
    """The names, and those of the files in the folders among them whose lists were pushed."""
    found = set(named)
    for name in found & pushed.keys():
        if name.endswith(FOLDER_LIST):
            try:
                found |= {str(entry["md5"]) for entry in json.loads(store.get(pushed[name][0]))}
            except (Missing, ValueError, KeyError, TypeError):  # a damaged list restores nothing
                continue
    return found
