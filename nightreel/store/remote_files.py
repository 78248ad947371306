"""Single files of a published version, checked against its manifest, without a download of the whole version."""

from __future__ import annotations

import hashlib

from nightreel.bundle.format import MANIFEST, BundleError, Manifest, parse_manifest
from nightreel.store.backends.base import Store


def manifest_of(store: Store, digest: str) -> Manifest:
    """Read the manifest; raises Missing if there is no such version, BundleError if it is damaged."""
    key = f"versions/{digest}/{MANIFEST}"
    return parse_manifest(store.get(key), f"{store.uri}/{key}")


def file_of(store: Store, digest: str, name: str, manifest: Manifest) -> bytes:
    """Read a file that the manifest lists; raises Missing, or BundleError naming a changed file."""
    key = f"versions/{digest}/{name}"
    content = store.get(key)
    if hashlib.sha256(content).hexdigest() != manifest.files[name]["sha256"]:
        raise BundleError(
            f"{store.uri}/{key}: was changed: its SHA-256 differs from the manifest's. Restore it, or roll back to "
            "another version: `nightreel rollback`."
        )
    return content
