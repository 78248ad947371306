"""Open the store that an address names."""

from __future__ import annotations

import os
from pathlib import Path

from nightreel.stage import state_directory
from nightreel.store.backends.base import Store, StoreError
from nightreel.store.backends.local import LocalStore


def store_uri(named: str | None = None) -> str:
    """The store's address: the given one, else NIGHTREEL_STORE, else the folder `store` of the state directory."""
    return named or os.environ.get("NIGHTREEL_STORE") or str(state_directory() / "store")


def open_store(named: str | None = None) -> Store:
    """Open the store at a folder or `s3://bucket/prefix` (default: see store_uri). Nothing is read or created yet."""
    uri = store_uri(named)
    if uri.startswith("s3://"):
        from nightreel.store.backends.s3 import S3Store  # boto3 takes 0.3 s to import: only where it is needed

        return S3Store(uri)
    scheme, colon, _ = uri.partition("://")
    if colon and scheme != "file":
        raise StoreError(f"{uri}: not a supported store. Use a folder or s3://bucket/prefix.")
    return LocalStore(Path(uri.removeprefix("file://")))
