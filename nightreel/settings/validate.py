"""The sections `snapshot` and `validate` of params.yaml: the data source, and how events are interpreted and split."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

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
    """Normalise an instant to ISO 8601 in UTC; YAML parses an unquoted one as a date."""
    if given == "":
        return given
    try:
        instant = datetime.fromisoformat(str(given)) if isinstance(given, str | date) else None
    except ValueError:
        instant = None
    if instant is None:
        raise ValueError(f'{given!r} is no point in time. Write one in UTC, like 2026-11-30T03:00:00Z, or "" for now')
    in_zone = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return in_zone.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Snapshot(Section):
    source: str
    """Data source: `movielens-100k` (the built-in sample), or a folder or `s3://bucket/prefix` with `items.*` and
    `events.*`."""
    media: str
    """Location of the media files: a folder or an `s3://bucket/prefix`, to which `media_uri` is relative; nothing
    outside it is read. Empty: next to the source's tables."""
    clock: Literal["auto", "time", "order"]
    """Meaning of `timestamp`: `time` (UTC), `order` (a position within a user's history), or `auto` (`order` for
    integers below 1e8)."""
    pseudonymise: Literal["auto", "on", "off"]
    """Replace user ids by keyed hashes before anything is versioned; `auto` is on for all but the public sample."""
    searches: Literal["off", "words"]
    """What is kept of the texts that users searched for. `off`: nothing. `words`: a user's last 20 searches, reduced to
    words that the catalogue's titles, labels and creators use or that 20 users searched for; they are published with
    the version and shown among a user's interests."""
    moment: Annotated[str, BeforeValidator(_moment)]
    """The night's "now", ISO 8601 in UTC, by which rights (`published_at`, `expires_at`) are checked and future events
    are recognised. Empty: the machine's clock, as usual; replayed nights set it."""
    channel: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """The channel that `publish` moves to the new version. Its live version is the champion."""

    def now(self) -> float:
        """The night's "now" in epoch seconds. Only stages that always run call this: the others depend on no clock."""
        return datetime.fromisoformat(self.moment).timestamp() if self.moment else time.time()


class Validate(Section):
    quarantine_share: Share
    """Maximum share of quarantined rows, above which the run fails: of a table, of each of its files, of each day, and
    of the rows since the last good night. Higher tolerates dirtier logs."""
    part_rows: Annotated[int, Field(ge=1)]
    """Minimum number of rows for a file, a day or a night to be checked separately. Lower finds smaller corrupt
    deliveries; higher lets more bad rows pass with a warning."""
    duplicate_window_s: Annotated[float, Field(ge=0)]
    """Seconds within which the same user, item and event type is a duplicate; 0: only equal timestamps."""
    positive: dict[Event, float | Literal["auto"]]
    """Positive event types, each with the minimum `value` that counts. Events without a value count. `watch: auto`: a
    watch of any length where the log tells what was shown (it holds impressions, or most watches are short, as where
    each video starts by itself), since what was shown together belongs together; else a half."""
    positive_else: dict[Event, float]
    """Positive event types where the log has none of those in `positive` (only comments, say); used with a warning."""
    negative: dict[Event, float]
    """Negative event types, each with the minimum `value` that counts."""
    negative_below: dict[Event, float]
    """Event types of which a `value` below this one is negative: a low rating, a watch that was broken off. Such an
    event may be positive as well, if its type is: a film that was watched to the end and rated badly."""
    gain: dict[Event, Annotated[float, Field(ge=0, le=1)] | Literal["value"]]
    """How much an event says that its user took to the item, 0 to 1, by type; `value`: its own value (the fraction
    watched, or the rating as a share of 5). Events without a value, and types not named here, count fully. Models weigh
    events by it, popularity counts it, and only events of a half and more are what validation, test and gate expect of
    lists."""
    seen: tuple[Event, ...]
    """Event types after which an item counts as seen by the user. What was disliked, or rated below `negative_below`,
    always does, and stays away even where seen items may come back."""
    exclude_seen: Literal["auto", "on", "off"]
    """Whether lists leave out items that the user has seen. `auto`: on, unless most items are music or podcasts and
    users return to them."""
    repeat_share: Share
    """Share of repeats, among all consumptions of an item by a user, from which `exclude_seen: auto` permits seen
    items."""
    return_gap_s: Annotated[float, Field(ge=0)]
    """Seconds after a user's last event on an item from which another play is a repeat. Events within it (a play and
    its like) count as one consumption. Lower counts a song that is played twice in a row as a repeat. Not used where
    the source has only an order: there another item in between separates two consumptions."""
    protocols: Literal["auto", "all", "leave_last_out", "global_time"]
    """Test splits to write; each trains the models once more. `auto`: only global_time where `gate` selects it
    automatically, else both; `all`: every possible split. Without timestamps only leave_last_out is possible."""
    gate: Literal["auto", "leave_last_out", "global_time"]
    """The split that the gate uses; `auto`: global_time where it has `gate_users` test users, else leave_last_out."""
    gate_users: Annotated[int, Field(ge=1)]
    """Minimum number of test users for `gate: auto` to select global_time."""
    test_share: Annotated[float, Field(gt=0, le=0.4)]
    """global_time: share of the positive events in each test window, and in each validation window. More gives a
    steadier test and less training data."""
    cuts: Annotated[int, Field(ge=1, le=5)]
    """global_time: number of rolling cuts, whose test users are pooled. More is steadier; each trains the models once
    more."""

    @field_validator("positive")
    @classmethod
    def _only_watches_are_automatic(cls, positive: dict[Event, float | str]) -> dict[Event, float | str]:
        if wrong := [event for event, least in positive.items() if least == "auto" and event != "watch"]:
            raise ValueError(f"{wrong[0]}: auto is possible for watch only. Give the least value that counts")
        return positive
