"""The data contract: the input tables with the type, bounds and meaning of every column.

Plain tables over pyarrow, not pandera: `import pandera` alone took 0.7–0.9 s more than pyarrow, in a stage that must
find within 0.5 s that nothing changed, and each invalid row must be reported with its source row, not as a schema
error. Loading (`casting`), row checks (`row_checks`), the data set's own check and the documentation all read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from nightreel.data.contract.editorial_rules import SHAPES
from nightreel.settings.validate import Event

Kind = Literal["id", "text", "list", "number", "integer", "flag", "moment", "label"]
KINDS: dict[Kind, str] = {
    "id": "text",
    "text": "text",
    "list": "lists of text, or text separated by |",
    "number": "numbers",
    "integer": "whole numbers",
    "flag": "true or false",
    "moment": "timestamps, as ISO 8601 text (2026-01-31T20:59:00Z), 20260131205900 or epoch seconds",
    "label": "text, numbers, or true and false",
}
"""What a column of each kind may hold, in words."""

EVENTS: tuple[Event, ...] = get_args(Event)
EVENTS_WITHOUT_ITEM = ("search", "follow")
MEDIA_TYPES = ("video", "audio", "music", "podcast", "live", "game", "other")
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"
"""A BCP-47 tag, loosely: `en`, `pt-BR`, `zh-Hant-TW`; what else is read as one, see `ingest.readings`."""

VALUE_BOUNDS: dict[str, tuple[float, float]] = {"watch": (0.0, 1.0), "rating": (0.5, 5.0)}
"""Bounds of `value` by event type. Ratings are 1–5; 0.5 is accepted because half-star scales (MovieLens) start
there."""

CLOCK_BEGINS_S = 631_152_000.0
"""1990-01-01 UTC in epoch seconds: no platform's log is older, so an earlier event has a wrong clock."""
TAIL_SHARE = 0.1
TAIL_GAP_S = 365 * 86_400.0
TAIL_GAPS = 10.0
"""Events are too late if they come after a gap of more than TAIL_GAP_S seconds and TAIL_GAPS times the longest gap
of the earlier log, and are at most TAIL_SHARE of all. The rule depends only on the data, so that the same source
gives the same rows on any day."""
LONE_GAP_S = 7 * 86_400.0
LONE_USERS = 10
"""In a log of LONE_USERS users or more, the last events are also too late if they are those of too few users to
define the end of the data (see log_end.several) and come after a gap of more than LONE_GAP_S seconds and
TAIL_GAPS times the longest gap before: a few clocks are wrong."""
AHEAD_S = 600.0
"""Seconds by which an event may be later than the run: clocks of devices and machines differ a little."""
ORDER_BELOW = 1e8
"""Whole numbers below this are positions in a user's history: as epoch seconds they would be before 1973-03-03."""


@dataclass(frozen=True)
class Column:
    """A column of a table. `required`: the table must have it; `filled`: none of its cells may be empty; `strict`: an
    unreadable cell sets its row aside, because the row would mean something else or must not be shown without it."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    filled: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    strict: bool = False

    @property
    def costs_row(self) -> bool:
        """Whether an unreadable cell sets its row aside; otherwise the cell is emptied."""
        return self.filled or self.required or self.strict

    @property
    def bounds(self) -> str:
        """The permitted values in words; empty if every value of the type is allowed."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        low = f"above {self.above:g}" if self.above is not None else "" if self.low is None else f"from {self.low:g}"
        high = "" if self.high is None else f"to {self.high:g}"
        return " ".join(part for part in (low, high) if part)

    @property
    def wanted(self) -> str:
        """What a cell should hold, in words: the type and the permitted values."""
        if self.choices:
            return self.bounds
        return self.meaning if self.pattern else f"{KINDS[self.kind]} {self.bounds}".strip()


@dataclass(frozen=True)
class Table:
    """A table of the contract. `name` is also the stem of its files."""

    name: str
    columns: tuple[Column, ...]
    required: bool = True

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in contract order."""
        return tuple(c.name for c in self.columns)


ITEMS = Table(
    "items",
    (
        Column("item_id", "id", "unique name of the item", required=True, filled=True),
        Column("title", "text", "title shown to users and read by the encoder", required=True, filled=True),
        Column("description", "text", "description; read by the encoder"),
        Column("transcript", "text", "transcript of its speech; read by the encoder"),
        Column("tags", "list", "free-form labels"),
        Column("genres", "list", "genres, from a fixed vocabulary"),
        Column("creators", "list", "who made it"),
        Column("language", "text", "BCP-47 tag, such as en or zh-Hant", pattern=LANGUAGE),
        Column("media_type", "text", "kind of item", choices=MEDIA_TYPES),
        Column("duration_s", "number", "length in seconds", low=0.0),
        Column("published_at", "moment", "start of availability (UTC)", strict=True),
        Column("expires_at", "moment", "end of availability (UTC)", strict=True),
        Column("blocked", "flag", "true: never recommend it", strict=True),
        Column("min_age", "integer", "minimum age of its audience, in years", low=0.0, high=99.0, strict=True),
        Column("media_uri", "text", "path or s3:// address of the media file"),
        Column("thumbnail_uri", "text", "path or s3:// address of its thumbnail"),
    ),
)

EVENTS_TABLE = Table(
    "events",
    (
        Column(
            "user_id", "id", "user id; replaced by a keyed hash before anything is stored", required=True, filled=True
        ),
        Column("item_id", "id", "item id; may be empty for search and follow", required=True),
        Column(
            "timestamp",
            "moment",
            "time of the event (UTC), or its position in the user's history where the source has no clock",
            required=True,
            filled=True,
        ),
        Column("event", "text", "type of event", required=True, filled=True, choices=EVENTS),
        Column(
            "value",
            "number",
            "watch: fraction watched, 0–1; rating: 1–5 (half stars from 0.5); other events: any number",
            strict=True,
        ),
        Column("text", "text", "text of a comment or a search query"),
        Column("session_id", "id", "session (visit) id"),
        Column("device", "text", "device"),
        Column("region", "text", "region"),
        Column("slate_id", "id", "id of the logged list in which the item was shown"),
        Column("position", "integer", "position in that list, from 0 or 1", low=0.0),
        Column(
            "propensity", "number", "probability with which the logging policy showed the item", above=0.0, high=1.0
        ),
        Column("variant", "id", "arm of an A/B experiment"),
    ),
)
REQUIRED_EVENTS = ("user_id", "item_id", "timestamp", "event", "value")
"""Columns that an events table always has after loading; the others only if the source has them."""

ERASURES = Table(
    "erasures",
    (
        Column("user_id", "id", "user whose events are deleted", required=True, filled=True),
        Column("requested_at", "moment", "time of the request (UTC); a request without a readable date still counts"),
    ),
    required=False,
)

RULES = Table(
    "rules",
    (
        Column(
            "rule", "text", "kind of rule; it applies to every list", required=True, filled=True, choices=tuple(SHAPES)
        ),
        Column(
            "target",
            "text",
            "an item_id, or genre:…, creator:…, language:…, media_type:…, outcome:…",
            strict=True,
        ),
        Column(
            "value",
            "number",
            "pin: position among the pins; boost: strength, above 0 to 1; caps: maximum number; audience_age: years; "
            "value: what one such outcome is worth, from -1000 to 1000",
            strict=True,
        ),
        Column("starts_at", "moment", "start of the rule (UTC); empty: at once", strict=True),
        Column("ends_at", "moment", "end of the rule (UTC); empty: no end", strict=True),
    ),
    required=False,
)

USERS = Table(
    "users",
    (
        Column(
            "user_id", "id", "user id; replaced by a keyed hash before anything is stored", required=True, filled=True
        ),
        Column("country", "text", "country, such as DE"),
        Column("age_band", "text", "age group, such as 18-24"),
        Column("languages", "list", "languages that the user understands, such as de and en"),
        Column("plan", "text", "plan or subscription"),
        Column("labels", "list", "interests that the user chose; genres of items are best"),
        Column("signed_up_at", "moment", "time of the registration (UTC)"),
    ),
    required=False,
)

TABLES = {table.name: table for table in (ITEMS, EVENTS_TABLE, ERASURES, RULES, USERS)}


def extra_columns(table: str, slices: Iterable[str]) -> list[str]:
    """The columns of a table that `evaluate.slices` names and that are not part of the contract, in order."""
    named = (name.removeprefix(f"{table}.") for name in slices if name.startswith(f"{table}."))
    return [name for name in dict.fromkeys(named) if name not in TABLES[table].names]


def with_named(slices: Iterable[str]) -> dict[str, Table]:
    """The contract with the additional columns that `evaluate.slices` names, whose cells are kept as they are."""
    columns = {
        table: tuple(Column(name, "label", "named in evaluate.slices") for name in extra_columns(table, slices))
        for table in TABLES
    }
    return {name: replace(table, columns=table.columns + columns[name]) for name, table in TABLES.items()}


def as_markdown(table: Table) -> str:
    """The table's columns as a Markdown table: name, need, type, values and meaning."""
    lines = ["| column | needed | type | values | meaning |", "|---|---|---|---|---|"]
    for column in table.columns:
        need = "yes" if column.filled else "column" if column.required else ""
        lines.append(f"| `{column.name}` | {need} | {column.kind} | {column.bounds} | {column.meaning} |")
    return "\n".join(lines) + "\n"
