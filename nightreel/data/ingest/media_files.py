"""Media files of a source, pinned by their hash, so that a changed file means a changed source.

Only files below the configured folder or s3:// address are read: a catalogue comes from outside and must not be able
to name other files of this machine, other buckets, or addresses of its network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from nightreel.errors import UserError
from nightreel.stage import file_sha256, read_json, write_json

Pins = dict[str, dict[str, Any]]
"""URI → {"sha256", "bytes"}, or {"skipped": reason}."""


class Objects(Protocol):
    """Objects below an s3:// address (nightreel.store.media_objects.MediaObjects)."""

    uri: str

    def stamp(self, key: str) -> tuple[list[int | str], str]: ...

    def fetch(self, key: str, path: Path) -> str: ...


Root = Path | Objects | None
"""Location of media: a folder, a bucket, or nowhere."""


def media_root(source: str, place: str, open_objects: Callable[[str], Objects]) -> Root:
    """Location of a source's media: `place` if it is set, else the folder of its tables; None for the sample.

    Raises UserError if `place` is not a folder.
    """
    named = place or source
    if named.startswith("s3://"):
        return open_objects(named)
    folder = Path(named).expanduser()
    if "://" not in named and folder.is_dir():
        return folder.resolve()
    if place:
        raise UserError(
            f"snapshot.media {place!r}: folder not found. Set an existing folder or s3://bucket/prefix, or leave it "
            "empty."
        )
    return None


def locate(uri: str, root: Path | None) -> tuple[Path | None, str]:
    """(file, "") of a path in root or a `file:` address, else (None, reason)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or (parts.scheme == "file" and parts.netloc not in ("", "localhost")):
        remedy = (
            "set their folder or bucket in snapshot.media"
            if parts.scheme == "s3"
            else "copy the file into the source's folder"
        )
        return None, f"{parts.scheme}: addresses are not supported; {remedy}"
    if root is None:
        return None, "media are read only from a folder or an s3:// address"
    named = unquote(parts.path) if parts.scheme else uri
    try:
        path = (root / named).resolve()
    except (OSError, ValueError, RuntimeError):
        return None, "not a valid path"
    if not path.is_relative_to(root):
        return None, "outside the source's folder"
    return (path, "") if path.is_file() else (None, "file not found")


def key_of(uri: str, root: Objects) -> tuple[str, str]:
    """(key below root, "") of an address in it or a name relative to it, else ("", reason)."""
    below = uri.removeprefix(f"{root.uri}/")
    if "://" in below:
        return "", f"outside {root.uri}"
    if any(part in ("", ".", "..") for part in below.split("/")):
        return "", "not a valid object name"
    return below, ""


@contextmanager
def at_hand(uri: str, root: Root) -> Iterator[tuple[Path | None, str]]:
    """Yield (file, ""), or (None, reason); an object is copied to a temporary file."""
    if root is None or isinstance(root, Path):
        yield locate(uri, root)
        return
    key, reason = key_of(uri, root)
    with tempfile.TemporaryDirectory(prefix="nightreel-media-") as scratch:
        # The decoder goes by content; names from outside must not reach this disk.
        path = Path(scratch, "object")
        reason = reason or root.fetch(key, path)
        yield (None, reason) if reason else (path, "")


def pin(uris: Iterable[str], root: Root, known: Path) -> Pins:
    """Hash the files that the URIs name. known: a file that caches hashes by what changes with the content: size and
    modification time of a file, or an object's tag."""
    if not (wanted := sorted(set(uris))):
        return {}
    remembered = read_json(known) if known.exists() else {}
    pins: Pins = {}
    for uri in wanted:
        try:
            pins[uri] = _pinned(uri, root, remembered)
        except OSError:
            pins[uri] = {"skipped": "can't be read"}
    write_json(known, remembered)
    return pins


def _pinned(uri: str, root: Root, remembered: dict[str, Any]) -> dict[str, Any]:
    name, stamp, reason = _stamped(uri, root)
    if not reason and remembered.get(name, [None])[0] != stamp:
        with at_hand(uri, root) as (path, reason):
            if path is not None:
                remembered[name] = [stamp, file_sha256(path)]
    return {"skipped": reason} if reason else {"sha256": remembered[name][1], "bytes": stamp[0]}


def _stamped(uri: str, root: Root) -> tuple[str, list[int | str], str]:
    """(name, what changes with the content: its size first, "") of a file, else with a reason at the end."""
    if root is None or isinstance(root, Path):
        path, reason = locate(uri, root)
        if path is None:
            return "", [], reason
        facts = path.stat()
        return str(path), [facts.st_size, facts.st_mtime_ns, facts.st_ino], ""
    key, reason = key_of(uri, root)
    stamp, reason = ([], reason) if reason else root.stamp(key)
    return f"{root.uri}/{key}", stamp, reason
