"""DVC's own configuration: of the checkout, and of the worktrees of its runs, which share its cache and remotes."""

from __future__ import annotations

import os
from pathlib import Path

from configobj import ConfigObj  # DVC's own

from nightreel.errors import UserError
from nightreel.orchestration.project import Project
from nightreel.store.open import store_uri

FILES = ("config", "config.local")
REMOTE = "nightreel"
REMOTE_FOLDER = "dvc"
"""Folder of the store that `dvc push` and `dvc pull` use, unless the user has configured another remote."""
_SECTION = f'remote "{REMOTE}"'


def settle(project: Project) -> None:
    """Set DVC up in the checkout: without git if there is none here, with a cache of its own files that no other user
    can write, and with the store as its remote, whichever command starts DVC."""
    config = _read(project.root / ".dvc" / "config.local")
    before = config.dict()
    core = config.setdefault("core", {})
    core["site_cache_dir"] = str(project.state / "dvc")
    if not (project.root / ".git").exists():
        core["no_scm"] = "true"
    _name_remote(config, _read(project.root / ".dvc" / "config"), project.state)
    if config.dict() != before:
        config.write()


def settle_copy(project: Project, target: Path, cache: Path, *, scm: bool, store: str | None = None) -> None:
    """Set DVC up in a copy of the checkout: with this cache, and with the checkout's remotes.

    Args:
        project: The checkout.
        target: The copy.
        cache: DVC's cache.
        scm: Whether the copy is a git worktree.
        store: Address of the store that is its remote, unless the checkout has another; default: the checkout's.
    """
    (target / ".dvc").mkdir(exist_ok=True)
    theirs = _read(project.root / ".dvc" / "config.local")
    _name_remote(theirs, _read(project.root / ".dvc" / "config"), project.state, store)
    config = ConfigObj(encoding="utf-8", interpolation=False)  # it quotes commas and #, as DVC reads them
    config["cache"] = {"dir": str(cache)}
    config["core"] = {name: value for name, value in theirs["core"].items() if name == "remote"}
    if not scm:
        config["core"]["no_scm"] = "true"
    for name in theirs:
        if name.startswith("remote "):
            config[name] = theirs[name].dict() | _absolute(theirs[name].get("url"), project.root / ".dvc")
    config.filename = str(target / ".dvc" / "config.local")
    config.write()


def store_is_remote(project: Project, uri: str) -> bool:
    """Whether the checkout's default remote is the folder of the store at this address."""
    local, committed = (_read(project.root / ".dvc" / name) for name in ("config.local", "config"))
    default = local.get("core", {}).get("remote", committed.get("core", {}).get("remote"))
    return bool(default == REMOTE and local.get(_SECTION, {}).get("url") == f"{uri.rstrip('/')}/{REMOTE_FOLDER}")


def cache_folder(root: Path) -> Path:
    """The DVC cache configured in the checkout."""
    named = "cache"
    for name in FILES:
        named = _read(root / ".dvc" / name).get("cache", {}).get("dir", named)
    return (root / ".dvc" / named).resolve()


def shared_cache(project: Project) -> Path:
    """The checkout's cache, or one in the state directory where this user may not write the checkout."""
    cache = cache_folder(project.root)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return cache if os.access(existing, os.W_OK) else project.state / "dvc-cache"


def _name_remote(config: ConfigObj, committed: ConfigObj, state: Path, store: str | None = None) -> None:
    """Make the store the default remote, unless the user has one, or the store is not known."""
    core = config.setdefault("core", {})
    if core.get("remote", committed.get("core", {}).get("remote", REMOTE)) != REMOTE:
        return
    try:
        url = f"{store_uri(store, state).rstrip('/')}/{REMOTE_FOLDER}"
    except UserError:  # its keys are not loaded
        return
    core["remote"] = REMOTE
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config[_SECTION] = {"url": url} | ({"endpointurl": endpoint} if endpoint and url.startswith("s3://") else {})


def _absolute(url: str | None, folder: Path) -> dict[str, str]:
    """The address of a remote, which DVC resolves from its file's folder if it is a relative path."""
    return {"url": url if "://" in url else str((folder / url).resolve())} if url else {}


def _read(path: Path) -> ConfigObj:
    config = ConfigObj(str(path) if path.exists() else None, encoding="utf-8", interpolation=False)
    config.filename = str(path)
    return config
