"""Facts of the store that snapshot pins for a run: the state for warm starts, and users who were withdrawn by hand."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nightreel.errors import UserError
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress, read_json, staged_output, write_json
from nightreel.store import channels
from nightreel.store.backends.base import Missing, Store, StoreError
from nightreel.store.remote_files import manifest_of
from nightreel.store.withdrawals_file import read

KEPT = "warm/"  # folder of the state in a bundle
PUBLISHED = "published/"  # folder of the models that were published, in the pinned state
MODELS = ("engine/", "histories/", "items.parquet", "users.parquet", "rehearsal/choices.json")
SELECTION = f"{KEPT}global_time/selection/selection.json"
PIN = "pin.json"


def earlier_version(store: Store, channel: str, tables: str) -> str | None:
    """The newest ancestor of the live version that was made from other tables than this run's.

    So all runs over the same tables start from the same state, whatever is published in between.
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


def pin_state(store: Store, digest: str | None, folder: Path, until: float | None = None) -> dict[str, str]:
    """Copy a version's warm-start state to `folder`, with pin.json: {"version", "until", "files": {name: SHA-256}}.

    Existing files are kept.

    Args:
        store: The store.
        digest: The version; None: none.
        folder: Where the state is pinned; only pin.json if the version has no state.
        until: From `goes_on_until`. If it is not None, the published models and the histories that they were trained on
            are copied, too.

    Returns:
        The files.

    Raises:
        StoreError: A file is not as published.
    """
    listed = _listed(store, digest, until is not None) if digest else {}
    files = {name: sha256 for name, (_, sha256) in listed.items()}
    pin = {"version": digest if files else None, "until": until, "files": files}
    if not ((folder / PIN).exists() and read_json(folder / PIN) == pin):
        with staged_output(folder) as out:
            for name, (own, sha256) in listed.items():
                _copy(store, f"versions/{digest}/{own}", out / name, sha256)
            write_json(out / PIN, pin)
    return files


def goes_on_until(store: Store, digest: str | None, nights: int) -> float | None:
    """Time of the last event that a version's models were trained on, if tonight may go on from its selection.

    Args:
        store: The store.
        digest: The version; None: none.
        nights: Largest number of nights in a row that go on from one selection (finetune.search_nights).

    Returns:
        Epoch seconds; None without such a selection, and where tonight is to select anew.
    """
    try:
        state = json.loads(store.get(f"versions/{digest}/{SELECTION}")) if digest else None
    except Missing:
        return None
    if state is None or state["nights"] + 1 > nights:
        return None
    config = manifest_of(store, str(digest)).config
    return float(config["learned_until"]) if config["clock"] == "time" else None


def known_rows(store: Store, digest: str | None) -> dict[str, Any] | None:
    """The rows that a version was made from.

    Args:
        store: The store.
        digest: The version; None: none.

    Returns:
        The result of `nightreel.data.quality.row_outcomes.remembered` for that version; None if it has no record.
    """
    try:
        found = json.loads(store.get(f"versions/{digest}/rehearsal/profile.json")) if digest else {}
    except Missing:
        return None
    known: dict[str, Any] | None = found.get("rows_known")
    return known


def forgotten(store: Store, channel: str, fingerprint: str | None) -> list[str]:
    """Users who were withdrawn from a channel by hand (`nightreel withdraw`): the next version is not trained on them.

    Args:
        store: The store.
        channel: Name of the channel.
        fingerprint: Fingerprint of this run's pseudonym key; None: ids are plain.

    Returns:
        User ids as in this run's tables, ascending; none, with a warning, if the live version used another key.

    Raises:
        StoreError: The withdrawals or the live version's manifest can't be read.
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


def _listed(store: Store, digest: str, models: bool) -> dict[str, tuple[str, str]]:
    """Files of the state that the version's manifest lists, by their names when pinned: (name in the version, SHA-256);
    none if the version is gone or has no state."""
    try:
        files = manifest_of(store, digest).files
    except Missing:
        return {}
    found = {name.removeprefix(KEPT): (name, e["sha256"]) for name, e in files.items() if name.startswith(KEPT)}
    if found and models:
        found |= {f"{PUBLISHED}{name}": (name, e["sha256"]) for name, e in files.items() if name.startswith(MODELS)}
    return found


def _copy(store: Store, key: str, path: Path, sha256: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    store.get_file(key, path)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise StoreError(
                f"{store.uri}: {key}: was changed: its SHA-256 differs from the manifest's. Restore it, roll back "
                "(`nightreel rollback`), or set finetune.warm_nights and finetune.search_nights to 0."
            )


def pinned_champion(store: Store, channel: str, made: str) -> dict[str, Any]:
    """The version to compare with: the live one, or its predecessor if the live one came from this same recipe.

    The answer is the same before and after a recipe's own publication, `reason` included: evaluate depends on it.
    """
    pointer = channels.live(store, channel)
    digest = pointer.digest if pointer else None
    if digest and channels.lineage(store, digest).get("recipe") == made:
        digest = channels.lineage(store, digest).get("predecessor")
    if digest is None:
        return {"digest": None, "recipe": None, "data_until": None, "reason": "no version was live before this recipe"}
    return {
        "digest": digest,
        "recipe": channels.lineage(store, digest).get("recipe"),
        "data_until": _data_until(store, digest),
        "reason": "it was live before this recipe",
    }


def _data_until(store: Store, digest: str) -> float | None:
    try:
        return float(json.loads(store.get(f"versions/{digest}/config.json"))["data_until"])
    except Missing:
        raise UserError(
            f"{store.uri}: version {digest[:12]}, to be compared with, is incomplete (config.json is missing). Restore "
            "it, or roll back to a whole one: `nightreel versions`, `nightreel rollback`."
        ) from None


def pin_warm_state(
    store: Store, settings: Settings, tables: str, by_hand: Collection[str], snapshot: Path
) -> dict[str, str]:
    """Pin the state that finetune may go on from, in the folder `warm`; nothing if one of the users that it was learned
    from is erased: it would be of no use, and their events are not to be copied again.

    Args:
        store: The store.
        settings: All settings.
        tables: Identity of this run's tables.
        by_hand: Users who were withdrawn by hand.
        snapshot: Folder of this run's tables.

    Returns:
        The state's files, on which the run's result depends.
    """
    warm = settings.finetune.warm_nights > 0 or settings.finetune.search_nights > 0
    earlier = earlier_version(store, settings.snapshot.channel, tables) if warm else None
    if earlier is not None and (gone := _erased_of(store, earlier, by_hand, snapshot)):
        log_progress(f"nothing is taken over from the published version's night: {gone:,} of its users are erased")
        earlier = None
    until = goes_on_until(store, earlier, settings.finetune.search_nights)
    return pin_state(store, earlier, snapshot / "warm", until)


def _erased_of(store: Store, digest: str, by_hand: Collection[str], snapshot: Path) -> int:
    """Number of users of a version who are erased tonight; 0 if the version is gone."""
    pin = snapshot / "warm" / PIN
    # Other tables remove the pin, so a version that is pinned has been looked at beside these erasures.
    if not by_hand and pin.exists() and read_json(pin)["version"] == digest:
        return 0
    import pyarrow.parquet as pq  # here, because it takes 0.3 s and a run without changes does not need it

    erased = {*by_hand, *pq.read_table(snapshot / "erasures.parquet", columns=["user_id"])["user_id"].to_pylist()}
    try:
        users = io.BytesIO(store.get(f"versions/{digest}/users.parquet")) if erased else None
    except Missing:
        return 0
    return 0 if users is None else len(erased.intersection(pq.read_table(users)["user_id"].to_pylist()))
