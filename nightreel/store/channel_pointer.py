"""A channel's pointer as it is stored: the served version and the withdrawals file in force.

Format 2 names the version in `version`. A release that knows only format 1 looks for `digest`, so it refuses the
pointer instead of showing withdrawn items. Format 1 is still read, and written as format 2 at the next change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightreel.store import records
from nightreel.store.backends.base import Store, StoreError, Token

FORMAT = 2
_COMMON = ("previous", "generation")
_FIELDS = {"previous", "generation", "share", "left", "fence"}


@dataclass(frozen=True)
class Pointer:
    """State of a channel. previous: the version before this one, by the lineage of this one."""

    digest: str
    previous: str | None
    generation: int
    token: Token
    share: float = 0.0
    """Share of users that this channel serves instead of `live`; see `channels.assigned`."""
    left: Mapping[str, float] = field(default_factory=dict)
    """When the channel last left each version, in epoch seconds: readers may use it for a while."""
    fence: Mapping[str, Any] | None = None
    """Fencing token of the last publication."""
    withdrawals: str | None = None
    """SHA-256 of the withdrawals file for every version of the channel; None: none yet."""


def read(store: Store, key: str, content: bytes, token: Token) -> Pointer:
    """Parse a stored pointer of format 1 or 2.

    Raises:
        StoreError: The pointer is damaged, or of a later format.
    """
    value = records.parse(store, key, content)
    known = value.get("format", 1)
    if not isinstance(known, int) or known > FORMAT:
        raise StoreError(
            f"{store.uri}: {key} has format {known}; this Nightreel reads formats 1 and {FORMAT}. Use the Nightreel "
            "release that wrote it, or a later one."
        )
    names = {"digest"} if known == 1 else {"format", "version", "withdrawals"}
    if not value.keys() >= {*names, *_COMMON} - {"format"}:
        raise records.damaged(store, key)
    # Pointers of early releases or made by hand have no checksum; later releases may add fields.
    checked = value.pop("sha256", None) is not None
    if (content != records.sealed(value)) if checked else (value.keys() - _FIELDS - names):
        raise records.damaged(store, key)
    return Pointer(
        digest=value["digest" if known == 1 else "version"],
        previous=value["previous"],
        generation=value["generation"],
        token=token,
        share=float(value.get("share", 0.0)),
        left=dict(value.get("left", {})),
        fence=value.get("fence"),
        withdrawals=value.get("withdrawals"),
    )


def written(pointer: Pointer, generation: int) -> bytes:
    """A pointer as it is stored, in format 2."""
    return records.sealed(
        {
            "format": FORMAT,
            "version": pointer.digest,
            "withdrawals": pointer.withdrawals,
            "previous": pointer.previous,
            "generation": generation,
            "share": pointer.share,
            "left": dict(pointer.left),
            "fence": dict(pointer.fence) if pointer.fence else None,
        }
    )
