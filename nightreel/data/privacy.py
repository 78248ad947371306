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


def pseudonym(key: bytes, user_id: str) -> str:
    """Pseudonym of a user id: the first 128 bits of HMAC-SHA256, in hex."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:32]


def wanted_key(setting: str, is_sample: bool, state: Path) -> bytes | None:
    """The pseudonym key, created if there is none; None if users keep their ids: see Snapshot.pseudonymise."""
    if setting == "off" or (setting == "auto" and is_sample):
        return None
    return load_key(state, create=True)


def key_fingerprint(key: bytes) -> str:
    """Identifies a key without revealing it (16 hex digits)."""
    return hashlib.sha256(b"nightreel pseudonym key\x00" + key).hexdigest()[:16]


def load_key(state: Path, *, create: bool) -> bytes | None:
    """Load the key from NIGHTREEL_PSEUDONYM_KEY, else from `pseudonym.key` in the state directory, which is created
    with mode 600 if `create` is true. None if there is neither; raises UserError for an empty or unreadable key."""
    named = os.environ.get(KEY_VARIABLE)
    if named:
        return named.encode()
    path = state / "pseudonym.key"
    try:
        if create and not path.exists():
            _generate(path)
        key = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    except PermissionError:
        raise UserError(f"{path}: can't be read. Give this user read access, or set {KEY_VARIABLE}.") from None
    if not key:
        raise UserError(
            f"{path}: is empty. Restore it from a backup, or delete it to start with new pseudonyms for all users."
        )
    return key


def _generate(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(working, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        # A link never replaces a file: two first runs at once end up with the same key.
        os.link(working, path)
    except FileExistsError:
        pass
    finally:
        working.unlink()


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
