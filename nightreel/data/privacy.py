"""Pseudonyms for users and redaction of quarantined rows: no raw user id and no free text enters a versioned file."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel import private_files
from nightreel.errors import UserError

KEY_VARIABLE = "NIGHTREEL_PSEUDONYM_KEY"
SHOWN = frozenset({"timestamp", "value", "position", "propensity", "requested_at", "cells", "columns", "lines"})
"""Columns about users whose numbers and times a redacted row shows; of all others only the length is shown."""
NAMING = ("item_id", "event")
"""Columns of events that a redacted row shows, unless a user id stands in them."""
CATALOGUE = ("items", "rules")
"""Tables that hold no personal data."""
EVENT_NAME = re.compile(r"^[^\W\d]{1,30}$")
"""An unknown type of event that is one word, such as `click`; anything else may come from a shifted column."""
HARMLESS = re.compile(r"^[\d\s:.,+\-/TZ]*$")
"""Texts that look like a number or a time."""
PLAIN = re.compile(
    r"^\s*([+-]?\d{0,6}([.,]\d{1,9})?%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{1,2}(:\d{1,2}([.,]\d+)?)?)?"
    r"\s*(Z|[AaPp][Mm]|[+-]\d{2}:?\d{2})?)\s*$"
)
"""Short numbers and dates: what a faulty number or time may be shown as, since nobody is identified by it."""
USER_ID = "[masked: a user id]"
"""What stands in place of a user id in a wrong column."""
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


@dataclass(frozen=True)
class Persons:
    """Tells user ids in wrong columns. users: all raw ids of the events' users; known: ids of items and other names
    that are meant, even if a user has the same one."""

    users: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    def masks(self, cell: str) -> bool:
        """Whether a cell of another column than user_id is, or may be, the id of a person."""
        return cell not in self.known and (cell.strip() in self.users or "@" in cell or cell == USER_ID)


NOBODY = Persons()


def redacted(
    row: Mapping[str, Any], faulty: str, *, private: bool, table: str = "events", persons: Persons = NOBODY
) -> str:
    """A quarantined row as JSON. `private` hides all that could identify a user: free text becomes its length; an
    invalid text that is no short number or date, and a user id in a wrong column, becomes a mask that can't be taken
    for a value.

    Args:
        row: Its cells; user_id is a pseudonym, unless it is the faulty column.
        faulty: The column that broke a rule.
        private: Whether users are pseudonyms.
        table: The row's table; those of CATALOGUE are shown as they are.
        persons: The users of the source, where they are known.
    """
    shown = {
        name: _short(cell) if not private or table in CATALOGUE else _private(name, cell, faulty, persons)
        for name, cell in row.items()
        if cell is not None
    }
    return json.dumps(shown, ensure_ascii=False, sort_keys=True, default=str)


def _private(name: str, cell: Any, faulty: str, persons: Persons) -> Any:
    text = isinstance(cell, str)
    if name == "user_id" and name != faulty:
        return cell
    if name in NAMING and text and persons.masks(cell):
        return USER_ID
    if name == "item_id" or (name == "event" and text and EVENT_NAME.match(cell)):
        return _short(cell)
    harmless = PLAIN if name == faulty else HARMLESS
    if name in SHOWN and (not text or (harmless.match(cell) and not persons.masks(cell))):
        return _short(cell)
    if text and (name == faulty or name in SHOWN):
        return f"[masked: {_shape(cell)}]"
    return f"[{len(cell)} characters]" if text else "[hidden]"


def _shape(cell: str) -> str:
    return _cut(re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", cell)))


def _short(cell: Any) -> Any:
    return _cut(cell) if isinstance(cell, str) else cell


def _cut(cell: str) -> str:
    whole = cell.encode("utf-8", "replace").decode().replace("\x00", "\\0")
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"
