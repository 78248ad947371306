"""Open the store that an address names."""

from __future__ import annotations

import os
from pathlib import Path

from nightreel.errors import missing_extra
from nightreel.stage import state_directory
from nightreel.store.backends.base import Store, StoreError
from nightreel.store.backends.local import LocalStore

OBJECT_STORE_IN_USE = Path("object-store") / "in-use"
"""File of a state directory whose versions are in the object store of `nightreel up --object-store`."""


def store_uri(named: str | Path | None = None, state: Path | None = None) -> str:
    """The store's address: the given one, else NIGHTREEL_STORE, else the folder `store` of the state directory.

    Args:
        named: A folder or `s3://bucket/prefix`.
        state: The state directory; default: this process's.

    Raises:
        StoreError: `named` is no address, or the state directory's versions are in its object store, whose keys this
            process does not have.
    """
    if named is not None and not isinstance(named, str | os.PathLike):
        raise StoreError(f"{named!r}: is no address of a store. Give a folder or s3://bucket/prefix.")
    given = os.fspath(named or "") or os.environ.get("NIGHTREEL_STORE")
    return given or str(_folder(state or state_directory()))


def _folder(state: Path) -> Path:
    """A state directory has one store, so that it has one history, whichever way a night is run."""
    if (state / OBJECT_STORE_IN_USE).exists():
        raise StoreError(
            f"{state}: its versions are in the object store of `nightreel up`. While `up` runs, load the store's "
            'address and keys: eval "$(nightreel env)". Or name another store in NIGHTREEL_STORE.'
        )
    return state / "store"


def open_store(named: str | Path | None = None) -> Store:
    """Open the store at a folder or `s3://bucket/prefix` (default: see store_uri). Nothing is read or created yet."""
    uri = store_uri(named)
    if uri.startswith("s3://"):
        try:
            from nightreel.store.backends.s3 import S3Store  # boto3 takes 0.3 s to import: only where it is needed
        except ModuleNotFoundError as error:
            raise missing_extra(error, f"{uri}: a store on S3") from None

        return S3Store(uri)
    scheme, colon, _ = uri.partition("://")
    if colon and scheme != "file":
        raise StoreError(f"{uri}: not a supported store. Use a folder or s3://bucket/prefix.")
    return LocalStore(Path(uri.removeprefix("file://")))
