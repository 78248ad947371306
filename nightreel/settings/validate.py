"""The sections `snapshot` and `validate` of params.yaml: where data come from, and what they mean."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nightreel.settings.section import Section, Share

Event = Literal[
    "impression",
    "play",
    "watch",
    "like",
    "favorite",
    "rating",
    "comment",
    "share",
    "search",
    "follow",
    "skip",
    "dislike",
]


def _moment(given: object) -> object:
    """Empty, or an instant as ISO 8601 in UTC; YAML reads one that is not quoted as a date."""
    if given == "":
        return given
    try:
        told = datetime.fromisoformat(str(given)) if isinstance(given, str | date) else None
    except ValueError:
        told = None
    if told is None:
        raise ValueError(f'{given!r} is no instant. Write one in UTC, like 2026-11-30T03:00:00Z, or "" for the present')
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")


class Snapshot(Section):
    source: str
    """`movielens-100k` (built-in sample), a folder, or an `s3://bucket/prefix` with `items.*` and `events.*`."""
    media: str
    """Where the files of `media_uri` lie: a folder or an `s3://bucket/prefix`; nothing outside it is read. Empty:
    beside the source's tables."""
    clock: Literal["auto", "time", "order"]
    """What `timestamp` means: `time` (UTC), `order` (a position per user), or `auto` (order if integers below 1e8)."""
    pseudonymise: Literal["auto", "on", "off"]
    """Replace user ids by keyed hashes before anything is versioned; `auto` is on for all but the public sample."""
    searches: Literal["off", "words"]
    """What is kept of the texts that users searched for. `off`: nothing. `words`: a user's last 20 searches, reduced to
    words that the catalogue's titles, labels and creators use or that 20 users searched for; they are published with
    the version and shown among a user's interests."""
    moment: Annotated[str, BeforeValidator(_moment)]
    """The night's "now", ISO 8601 in UTC: what rights (`blocked`, `published_at`, `expires_at`) are judged by, and what
    lies in the future. Empty: the machine's clock, as a night wants it; a night of the past, replayed, names one."""
    channel: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """The channel whose live version is pinned as champion and that `publish` moves."""

    def now(self) -> float:
        """The night's "now", epoch seconds. Only stage snapshot asks: the stages after it depend on no clock."""
        return datetime.fromisoformat(self.moment).timestamp() if self.moment else time.time()


class Validate(Section):
    quarantine_share: Share
    """Share of the rows that may be quarantined before the run fails, of a table, of each of its files, of a day and of
    what came since the last good night; higher tolerates dirtier logs."""
    part_rows: Annotated[int, Field(ge=1)]
    """Rows that a file, a day or a night must have to be judged by itself: lower finds smaller corrupt deliveries,
    higher lets more bad rows pass with a warning."""
    duplicate_window_s: Annotated[float, Field(ge=0)]
    """Same user, item and event within this many seconds is a duplicate; 0: only exactly equal timestamps."""
    positive: dict[Event, float]
    """Event types that show interest, with the least `value` that counts (an event without a value counts)."""
    positive_else: dict[Event, float]
    """The same, where the log holds no event that is positive by `positive`: comments alone, say. A warning tells."""
    negative: dict[Event, float]
    """Event types that show dislike, with the least `value` that counts."""
    seen: tuple[Event, ...]
    """Event types after which an item counts as seen."""
    exclude_seen: Literal["auto", "on", "off"]
    """Leave seen items out of lists; `auto` permits repeats where most items are music or podcasts and the log has
    them."""
    repeat_share: Share
    """Share of the meetings of a user and an item that are returns, from which `auto` permits repeats."""
    return_gap_s: Annotated[float, Field(ge=0)]
    """Seconds after a user's last event about an item from which another play is a return; before, all events are about
    one meeting (a play and its like) and count once. Lower takes a song that is played again within an album for a
    return. Not asked where the source has only an order: there another item in between tells two meetings apart."""
    protocols: Literal["auto", "all", "leave_last_out", "global_time"]
    """Test splits to write, each of which trains the members once more. `auto`: global_time alone where it decides by
    itself (see `gate`), else both where there is a clock; `all`: both wherever they can be."""
    gate: Literal["auto", "leave_last_out", "global_time"]
    """The split that decides; `auto`: global_time where it has `gate_users` test users, else leave_last_out."""
    gate_users: Annotated[int, Field(ge=1)]
    """Least number of test users for global_time to be the automatic gate."""
    test_share: Annotated[float, Field(gt=0, le=0.4)]
    """global_time: share of the positives, by time, in each test window (and in each validation window)."""
    cuts: Annotated[int, Field(ge=1, le=5)]
    """global_time: rolling cuts whose users are pooled; each one trains the members once more."""
