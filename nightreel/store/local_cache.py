"""Local copies of versions: the folder of a local store, or a download named by its digest."""

from __future__ import annotations

import errno
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nightreel.bundle.format import MANIFEST, BundleError, Manifest, verify
from nightreel.stage import cache_folder
from nightreel.store.backends.base import Missing, Store, StoreError
from nightreel.store.remote_files import manifest_of

_DOWNLOADS = 8  # files at once: most of a bundle's files are small, so latency dominates


def fetch(store: Store, digest: str) -> Path:
    """Return the folder of a verified version; it is downloaded if this machine has no valid copy.

    Args:
        store: The store.
        digest: The version.

    Raises:
        BundleError: A file is not as published; the message names it.
        StoreError: There is no such version.
    """
    folder = store.folder(f"versions/{digest}")
    if folder is not None:
        if not folder.is_dir():
            raise _unknown(store, digest)
        verify(folder, digest)
        return folder
    kept = cache_folder() / "bundles" / digest
    try:
        verify(kept, digest)
    except BundleError:  # missing or damaged on this machine's disk: the store's copy decides
        download(store, digest, kept)
    return kept


def download(store: Store, digest: str, target: Path) -> Manifest:
    """Download a version to `target` and verify it; the folder appears complete or not at all."""
    root = f"versions/{digest}/"
    try:
        manifest = manifest_of(store, digest)
    except Missing:
        raise _unknown(store, digest) from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    except OSError as error:
        raise _no_room(target, error) from error
    try:
        for name in manifest.files:
            (working / name).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            list(pool.map(lambda name: store.get_file(root + name, working / name), manifest.files))
        (working / MANIFEST).write_bytes(manifest.canonical)
        try:
            verify(working, digest)
        except BundleError as error:
            found = str(error).replace(f"{working}/", root)
            raise BundleError(f"{store.uri}: {found}") from None
        _take_place(working, target, digest)
    except OSError as error:
        raise _no_room(target, error) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return manifest


def _take_place(working: Path, target: Path, digest: str) -> None:
    """Rename into place. A valid copy that another process has finished stays; a damaged one is moved aside, so that
    processes that have its files mapped keep them."""
    try:
        working.rename(target)
        return
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    try:
        verify(target, digest)
    except BundleError:
        aside = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        target.rename(aside / "old")
        shutil.rmtree(aside, ignore_errors=True)
        working.rename(target)


def _no_room(target: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{target.parent}: the version can't be stored there ({error.strerror or error}). Free some space, or name "
        "another folder in NIGHTREEL_STATE."
    )


def _unknown(store: Store, digest: str) -> StoreError:
    return StoreError(f"{store.uri}: version {digest[:12]} not found. `nightreel versions` lists all versions.")
