"""Facts of the store that snapshot pins for a run: the state for warm starts, and users who were withdrawn by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from nightreel.stage import log_progress, read_json, staged_output, write_json
from nightreel.store import channels
from nightreel.store.backends.base import Missing, Store, StoreError
from nightreel.store.remote_files import manifest_of
from nightreel.store.withdrawals_file import read

KEPT = "warm/"  # the bundle's part that holds it
PIN = "pin.json"


def earlier_version(store: Store, channel: str, tables: str) -> str | None:
    """The newest version in the line of what is live that was made from other tables than tonight's.

    A run over the same tables begins where the first one over them began: what is published meanwhile changes nothing.
    """
    pointer, passed = channels.live(store, channel), set[str]()
    digest = pointer.digest if pointer else None
    while digest is not None and digest not in passed:
        record = channels.lineage(store, digest)
        if record.get("tables") != tables:
            return digest
        passed.add(digest)
        digest = record.get("predecessor")
    return None


def pin_state(store: Store, digest: str | None, folder: Path) -> dict[str, str]:
    """Copy a version's state to `folder`, beside pin.json: {"version", "files": {name: SHA-256}}; neither where the
    version has no state. Returns the files.

    What is there already is left as it is. Raises StoreError when a file is not as published.
    """
    files = _listed(store, digest) if digest else {}
    pin = {"version": digest if files else None, "files": files}
    if (folder / PIN).exists() and read_json(folder / PIN) == pin:
        return files
    with staged_output(folder) as out:
        for name, sha256 in files.items():
            _copy(store, f"versions/{digest}/{KEPT}{name}", out / name, sha256)
        write_json(out / PIN, pin)
    return files


def known_rows(store: Store, digest: str | None) -> dict[str, Any] | None:
    """Which rows a version knew.

    Args:
        store: Where it is.
        digest: Which version; None: none.

    Returns:
        What `nightreel.data.quality.row_outcomes.remembered` gave when it was made; None where a version doesn't say.
    """
    try:
        found = json.loads(store.get(f"versions/{digest}/rehearsal/profile.json")) if digest else {}
    except Missing:
        return None
    known: dict[str, Any] | None = found.get("rows_known")
    return known


def forgotten(store: Store, channel: str, fingerprint: str | None) -> list[str]:
    """Users whom a person withdrew from a channel (`nightreel withdraw`): the next version learns nothing of them.

    Args:
        store: Where the channel is.
        channel: Its name.
        fingerprint: Of tonight's key of pseudonyms; None: ids are plain.

    Returns:
        Users as tonight's tables name them, ascending; none, with a warning, where the live version's pseudonyms have
        another key.

    Raises:
        StoreError: What is withdrawn, or the live version's manifest, can't be read.
    """
    pointer = channels.live(store, channel)
    held = read(store, pointer.withdrawals) if pointer else None
    if pointer is None or held is None or not held.by_hand.users:
        return []
    if manifest_of(store, pointer.digest).config["key_fingerprint"] != fingerprint:
        log_progress(
            f"warning: channel {channel} was published with another pseudonym key than this run uses, so the "
            f"{len(held.by_hand.users):,} users who were withdrawn by hand can't be matched to this run's users. List "
            "them in the table erasures, or run `nightreel withdraw --users FILE` again once this run is published."
        )
        return []
    return sorted(held.by_hand.users)


def _listed(store: Store, digest: str) -> dict[str, str]:
    """The files below KEPT that the version's manifest names; none where the version is gone."""
    try:
        files = manifest_of(store, digest).files
    except Missing:
        return {}
    return {name.removeprefix(KEPT): entry["sha256"] for name, entry in files.items() if name.startswith(KEPT)}


def _copy(store: Store, key: str, path: Path, sha256: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    store.get_file(key, path)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise StoreError(
                f"{store.uri}: {key}: was changed: its SHA-256 differs from the manifest's. Restore it, roll back "
                "(`nightreel rollback`), or set finetune.warm_nights to 0."
            )
