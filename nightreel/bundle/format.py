"""The bundle format: a folder of data files and a manifest, written last, that lists every one of them.

    manifest.json  {"format": 1, "files": {path: {"sha256", "size"[, "dtype", "shape"]}}, "config": {…}}

The digest of a bundle is the SHA-256 of its manifest as canonical JSON, so it covers everything that a reader uses.
`lineage.json` (times, hosts, run ids) may be next to the manifest and is not covered.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.errors import UserError

FORMAT = 1
MANIFEST = "manifest.json"
CONFIG = "config.json"
LINEAGE = "lineage.json"
_UNCOVERED = frozenset({MANIFEST, LINEAGE})
_CODE_FORMATS = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".py", ".so"})
_HASHERS = 2  # threads: one file, the vectors, is more than half of a bundle's bytes
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BundleError(UserError):
    """A bundle is incomplete, changed, of another format or has forbidden content; the message names the file."""


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest. files: {path: {"sha256": hex, "size": bytes, and for .npy "dtype" and "shape"}}."""

    files: dict[str, dict[str, Any]]
    config: dict[str, Any]

    @property
    def digest(self) -> str:
        """64 hex digits: the version's name."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def canonical(self) -> bytes:
        """The manifest file's bytes."""
        return _canonical({"format": FORMAT, "files": self.files, "config": self.config})


def seal(folder: Path, config: dict[str, Any]) -> str:
    """Write config.json and, last, the manifest of all files in the folder.

    Args:
        folder: The bundle's folder.
        config: Content of config.json.

    Returns:
        The bundle's digest.

    Raises:
        BundleError: A file's format can contain code (such as pickle), or an array contains Python objects.
    """
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / CONFIG).write_bytes(_canonical(config))
    manifest = Manifest({name: _entry(folder / name, name) for name in _covered(folder)}, config)
    working = folder / f".{MANIFEST}.partial"
    working.write_bytes(manifest.canonical)
    working.rename(folder / MANIFEST)
    return manifest.digest


def verify(folder: Path, expected: str | None = None) -> Manifest:
    """Check that every byte of a bundle is as it was sealed.

    Args:
        folder: The bundle's folder.
        expected: The digest that it must have; None for any.

    Returns:
        The manifest.

    Raises:
        BundleError: A file is missing, truncated, changed or not listed; the message names it.
    """
    manifest = read_manifest(folder)
    if expected is not None and manifest.digest != expected:
        raise BundleError(f"{folder / MANIFEST}: was changed: its digest is not {expected}. Use another version.")
    largest_first = sorted(manifest.files.items(), key=lambda each: int(each[1]["size"]), reverse=True)
    with ThreadPoolExecutor(_HASHERS) as pool:
        list(pool.map(lambda each: _check_file(folder / each[0], each[1]), largest_first))
    unlisted = [name for name in _covered(folder) if name not in manifest.files]
    if unlisted:
        raise BundleError(f"{folder / unlisted[0]}: is not in the bundle's manifest. Remove it or seal the bundle.")
    return manifest


def digest_of(folder: Path) -> str:
    """Digest of a bundle, from its manifest only; the other files are not read."""
    return read_manifest(folder).digest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder; raises BundleError if it is missing, damaged or of another format."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path}: not found: {folder} is not a complete bundle. Write or publish it again.") from None
    return parse_manifest(content, str(path))


def parse_manifest(content: bytes, where: str) -> Manifest:
    """Parse a manifest; `where` names it in error messages (BundleError)."""
    try:
        value = json.loads(content)
        if value["format"] != FORMAT:
            raise BundleError(
                f"{where}: has format {value['format']}; this Nightreel reads format {FORMAT}. "
                "Use the Nightreel release that wrote it."
            )
        manifest = Manifest(dict(value["files"]), dict(value["config"]))
        sound = all(_sound(name, entry) for name, entry in manifest.files.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise BundleError(f"{where}: is truncated or not a bundle manifest. Use another version, or publish it again.")
    return manifest


def _sound(name: str, entry: dict[str, Any]) -> bool:
    """Whether an entry of a manifest is well formed and its path stays inside the bundle's folder."""
    parts = name.split("/")
    inside = all(part and not part.startswith(".") for part in parts) and name not in _UNCOVERED
    return inside and isinstance(entry["size"], int) and _SHA256.fullmatch(entry["sha256"]) is not None


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _covered(folder: Path) -> list[str]:
    """Every file in the folder that the manifest must list; hidden files are working files."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if name not in _UNCOVERED)


def _entry(path: Path, name: str) -> dict[str, Any]:
    import numpy as np  # takes 0.1 s to import, which a run without changes need not wait for

    if path.suffix in _CODE_FORMATS:
        raise BundleError(f"{path}: {path.suffix} files can contain code. Save it in a format that holds data only.")
    entry: dict[str, Any] = {"sha256": _sha256(path), "size": path.stat().st_size}
    if path.suffix == ".npy":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise BundleError(f"{path}: is not a plain array ({error}). Save numbers, not Python objects.") from None
        entry |= {"dtype": array.dtype.str, "shape": list(array.shape)}
    return entry


def _check_file(path: Path, entry: dict[str, Any]) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise BundleError(f"{path}: not found, but the manifest lists it. Use another version.") from None
    if size != entry["size"]:
        raise BundleError(
            f"{path}: has {size} bytes instead of {entry['size']}: it is incomplete. Use another version."
        )
    if _sha256(path) != entry["sha256"]:
        raise BundleError(f"{path}: was changed: its SHA-256 differs from the manifest's. Use another version.")


def _sha256(path: Path) -> str:
    if not path.stat().st_size:  # an empty file can't be mapped
        return hashlib.sha256().hexdigest()
    # Mapping is 10% faster than reading into a buffer.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return hashlib.sha256(whole).hexdigest()
