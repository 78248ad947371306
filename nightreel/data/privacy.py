"""Pseudonyms for users and redaction of quarantined rows: no raw user id and no free text enters a versioned file."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightreel import private_files
from nightreel.errors import UserError

KEY_VARIABLE = "NIGHTREEL_PSEUDONYM_KEY"
SHOWN = frozenset(
    {
        "item_id",
        "timestamp",
        "event",
        "value",
        "position",
        "propensity",
        "title",
        "media_type",
        "language",
        "duration_s",
        "published_at",
        "expires_at",
        "blocked",
        "min_age",
        "requested_at",
        "rule",
        "target",
        "starts_at",
        "ends_at",
    }
)
"""Columns that a redacted row shows; of all others only the length is shown."""
LONGEST = 60
SHORTEST = 32
"""Characters of a pseudonym key, at least."""


def pseudonym(key: bytes, user_id: str) -> str:
    """Pseudonym of a user id: the first 128 bits of HMAC-SHA256, in hex."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:32]


def wanted_key(setting: str, is_sample: bool, state: Path) -> bytes | None:
    """The pseudonym key, created if there is none; None if users keep their ids: see Snapshot.pseudonymise.

    Raises:
        UserError: The key is so short that it could be guessed, and ids with it.
    """
    if setting == "off" or (setting == "auto" and is_sample):
        return None
    key = load_key(state, create=True)
    if key is not None and len(key) < SHORTEST:
        where = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(state / "pseudonym.key")
        raise UserError(
            f"{where}: the pseudonym key has {len(key)} characters, so it could be guessed. Use {SHORTEST} or more, "
            "for example those of `openssl rand -hex 32`; every user then gets a new pseudonym."
        )
    return key


def key_fingerprint(key: bytes) -> str:
    """Identifies a key without revealing it (16 hex digits)."""
    return hashlib.sha256(b"nightreel pseudonym key\x00" + key).hexdigest()[:16]


def load_key(state: Path, *, create: bool) -> bytes | None:
    """Load the key from NIGHTREEL_PSEUDONYM_KEY, else from `pseudonym.key` in the state directory, which is created
    with mode 600 if `create` is true. None if there is neither; raises UserError for an empty or unreadable key, and
    for one that other users may read."""
    named = os.environ.get(KEY_VARIABLE)
    if named:
        return named.encode()
    path = state / "pseudonym.key"
    try:
        if create and not path.exists():
            private_files.create(path, f"{secrets.token_hex(32)}\n".encode())
        key, shared = path.read_bytes().strip(), private_files.readable_by_others(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise UserError(f"{path}: can't be read. Give this user read access, or set {KEY_VARIABLE}.") from None
    if not key:
        raise UserError(
            f"{path}: is empty. Restore it from a backup, or delete it to start with new pseudonyms for all users."
        )
    if shared:
        raise UserError(
            f"{path}: the pseudonym key may be read by other users of this machine. Run `chmod 600 {path}`; if anyone "
            f"may have read it, start with a new one. Where files have no modes, set {KEY_VARIABLE}."
        )
    return key


def redacted(row: Mapping[str, Any], faulty: str, *, private: bool) -> str:
    """A quarantined row as JSON. `private` hides all that could identify a user: free text becomes its length, and
    an invalid cell its shape (letters a, digits 9), because a shifted column may contain anything."""
    shown: dict[str, Any] = {}
    for name, cell in row.items():
        if cell is None:
            continue
        if private and name == faulty and isinstance(cell, str):
            shown[name] = _shape(cell)
        elif not private or name in SHOWN or name == "user_id":
            shown[name] = _short(cell)
        else:
            shown[name] = f"[{len(cell)} characters]" if isinstance(cell, str) else "[hidden]"
    return json.dumps(shown, ensure_ascii=False, sort_keys=True, default=str)


def _shape(cell: str) -> str:
    return _cut(re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", cell)))


def _short(cell: Any) -> Any:
    return _cut(cell) if isinstance(cell, str) else cell


def _cut(cell: str) -> str:
    whole = cell.encode("utf-8", "replace").decode().replace("\x00", "\\0")
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"
