"""Media files of a source: pinned by their hash, so that a changed file is a changed source.

Only files inside the source's own folder are read: a catalogue comes from outside, and must not name other files of
this machine or addresses of its network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tasks.stage import read_json, write_json

Pins = dict[str, dict[str, Any]]
"""URI → {"sha256", "bytes"}, or {"skipped": reason}."""


def media_root(source: str) -> Path | None:
    """The folder that media lie in; None where the source is no local folder."""
    folder = Path(source).expanduser()
    return folder.resolve() if "://" not in source and folder.is_dir() else None


def locate(uri: str, root: Path | None) -> tuple[Path | None, str]:
    """(file, "") of a path in root or a `file:` address, else (None, reason)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or (parts.scheme == "file" and parts.netloc not in ("", "localhost")):
        return None, f"{parts.scheme}: addresses are not read; put the file into the source's folder"
    if root is None:
        return None, "media are read from a local source folder alone"
    named = unquote(parts.path) if parts.scheme else uri
    try:
        path = (root / named).resolve()
    except (OSError, ValueError, RuntimeError):
        return None, "is not a path"
    if not path.is_relative_to(root):
        return None, "lies outside the source's folder"
    return (path, "") if path.is_file() else (None, "there is no such file")


def pin(uris: Iterable[str], root: Path | None, known: Path) -> Pins:
    """Hashes of the files that the URIs name; known: a file that keeps them by size and time of change."""
    if not (wanted := sorted(set(uris))):
        return {}
    remembered = read_json(known) if known.exists() else {}
    pins: Pins = {}
    for uri in wanted:
        path, reason = locate(uri, root)
        try:
            pins[uri] = {"skipped": reason} if path is None else _hashed(path, remembered)
        except OSError:
            pins[uri] = {"skipped": "can't be read"}
    write_json(known, remembered)
    return pins


def _hashed(path: Path, remembered: dict[str, Any]) -> dict[str, Any]:
    facts = path.stat()
    stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ino]
    kept = remembered.get(str(path))
    if kept is None or kept[0] != stamp:
        with path.open("rb") as content:
            remembered[str(path)] = kept = [stamp, hashlib.file_digest(content, "sha256").hexdigest()]
    return {"sha256": kept[1], "bytes": facts.st_size}
