"""Schemas of requests and responses; the OpenAPI document is generated from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StrictInt, ValidationInfo, field_validator

from nightreel.reader.options import MOST_EXCLUDED, MOST_IDS, RequestOptions
from nightreel.reader.requests.context import pairs
from nightreel.reader.requests.recent_events import fault_of_id

MOST_K, MOST_HISTORY, MOST_OFFSET = 200, 1000, 1_000_000


def _stored(value: str) -> str:
    if fault := fault_of_id(value):
        raise ValueError(f"{fault}, so the events table would refuse it")
    return value


Id = Annotated[str, Field(min_length=1, max_length=256)]
StoredId = Annotated[Id, AfterValidator(_stored)]
"""An id that may be logged as an event's: what the next night would set aside is refused at once."""
Ids = Annotated[tuple[Id, ...], Field(max_length=MOST_IDS)]
Share = Annotated[float, Field(ge=0, le=1)]
Age = Annotated[int, Field(ge=0, le=150, description="only items suitable for this age, in years")]
When = Annotated[
    Annotated[str, Field(max_length=64)] | float | None,
    Field(
        description="time for which the list is computed: last-event (just after the user's last event), ISO 8601, "
        "epoch seconds, or a position where the source has no clock; default: now, at the end of the data"
    ),
]
NOT_OPTIONS = {"user", "history", "k", "offset", "exclude_seen", "moment", "reasons", "seed", "shown", "context"}
"""Fields of a request for a list that are no options of the reader."""
Label = Annotated[str, Field(max_length=256)]
Context = Annotated[
    dict[Annotated[str, Field(max_length=64)], Label | StrictInt | Annotated[tuple[Label, ...], Field(max_length=100)]],
    Field(
        max_length=50,
        description="what is known of a user without events, or of the moment, by column: country, age_band, "
        "languages, plan, labels, device, region, hour (0 to 23, UTC), weekday",
        examples=[{"country": "DE", "languages": ["de", "en"], "hour": 20}],
    ),
]
LIST_EXAMPLE: dict[str, JsonValue] = {"user": "148", "k": 10, "diversity": 0.3, "reasons": True}
VISIT_EXAMPLE: dict[str, JsonValue] = {
    "history": ["257", "405"],
    "k": 10,
    "genres": ["Sci-Fi"],
    "liked": ["250"],
    "skipped": ["288"],
}


class Strict(BaseModel):
    """Unknown fields are errors: otherwise a misspelled option would be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag(cls, value: object, field: ValidationInfo) -> object:
        """True would be read as 1: an age of one year, a rating of 1."""
        if isinstance(value, bool) and "bool" not in str(cls.model_fields[str(field.field_name)].annotation):
            raise ValueError(f"is {str(value).lower()}, which is no value of this field")
        return value


class Taste(Strict):
    """Filters of a list, and what the user liked and skipped in this visit."""

    languages: Ids = Field((), description="only items in these languages; zh covers zh-Hant")
    media_types: Ids = Field((), description="only items of these media types")
    genres: Ids = Field((), description="only items with at least one of these genres")
    audience_age: Age | None = None
    liked: Ids = Field(
        (), description="ids of items liked in this visit, oldest first; they count as the newest events"
    )
    skipped: Ids = Field((), description="ids of items skipped in this visit; similar items move down")


class ListRequest(Taste):
    """A list for a user or a history (item ids, oldest first), or for an unknown user if neither is given."""

    model_config = ConfigDict(json_schema_extra={"examples": [LIST_EXAMPLE, VISIT_EXAMPLE]})

    user: StoredId | None = Field(None, description="user id", examples=["148"])
    history: Annotated[tuple[Id, ...], Field(max_length=MOST_HISTORY)] | None = Field(
        None, description="item ids instead of a user, oldest first", examples=[["257", "405"]]
    )
    k: int = Field(10, ge=1, le=MOST_K, description="number of items")
    offset: int = Field(0, ge=0, le=MOST_OFFSET, description="places to pass over; the k after them are returned")
    exclude_seen: bool | None = Field(
        None, description="leave out items the user has seen; default: as the version was evaluated"
    )
    moment: When = None
    reasons: bool = Field(False, description="return reasons for each item")
    exclude: Annotated[tuple[Id, ...], Field(max_length=MOST_EXCLUDED)] = Field(
        (), description="ids of items to leave out, for instance those that were shown"
    )
    max_per_creator: int | None = Field(None, ge=1, description="maximum number of items per creator")
    max_per_genre: int | None = Field(None, ge=1, description="maximum number of items per genre")
    diversity: Share = Field(0.0, description="0: the model's order; 1: items as different as possible")
    freshness: Share = Field(0.0, description="weight of being newer than the rest of the catalogue")
    pinned: Ids = Field((), description="ids of items to put first, in this order")
    boosted: Ids = Field((), description="ids of items to move up")
    buried: Ids = Field((), description="ids of items to put last")
    explore: Share | None = Field(
        None,
        description="share of places for exploration; default: the version's own; propensities are returned",
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="random seed of the exploration; default: for a version with a share of its own one list per user "
        "and day, else a new one for each list",
    )
    shown: bool = Field(
        True, description="false: the list is not shown to the user, so it is not logged as an impression"
    )
    context: Context | None = None

    def labels(self) -> dict[str, tuple[str, ...]]:
        """The context for the reader: labels by column, in one form whatever door it came through."""
        given = self.context or {}
        return {name: value if isinstance(value, tuple) else (str(value),) for name, value in sorted(given.items())}

    def options(self, seed: int) -> RequestOptions:
        """The request's options for the reader; seed: used if the request gives none."""
        given = self.model_dump(exclude=NOT_OPTIONS)
        return RequestOptions(**given, seed=seed if self.seed is None else self.seed)


def _split(values: object) -> object:
    """Parts between commas of all values of a parameter; empty parts are dropped."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(part for value in values for part in str(value).split(",") if part)


def _lists(kind: type[BaseModel]) -> tuple[str, ...]:
    """Fields that hold several values."""
    return tuple(name for name, field in kind.model_fields.items() if "tuple" in str(field.annotation))


class ListQuery(ListRequest):
    """The same as parameters of a URL. Lists are separated by commas, or the parameter is repeated; what holds a comma
    itself goes with POST."""

    context: Annotated[tuple[Label, ...], Field(max_length=100)] = Field(  # type: ignore[assignment]
        (),
        description="what is known of a user without events, or of the moment, as column=label",
        examples=[["country=DE", "languages=de", "languages=en"]],
    )

    split = field_validator(*_lists(ListRequest), "context", mode="before")(_split)

    def labels(self) -> dict[str, tuple[str, ...]]:
        """The context for the reader, likewise."""
        return dict(sorted(pairs(self.context).items()))


class Explained(Taste):
    """An item of the list of a user or a history; the filters are those of that list."""

    item: str = Field(max_length=500, description="item id or exact title", examples=["257"])
    user: StoredId | None = Field(None, description="user id", examples=["148"])
    history: Annotated[tuple[Id, ...], Field(max_length=MOST_HISTORY)] | None = Field(
        None, description="item ids instead of a user, oldest first", examples=[["257", "405"]]
    )
    moment: When = None

    def options(self) -> RequestOptions:
        """The filters, and the likes and skips of this visit, for the reader."""
        return RequestOptions(**self.model_dump(include=set(Taste.model_fields)))


class ExplainQuery(Explained):
    """The same as parameters of a URL."""

    split = field_validator(*_lists(Explained), mode="before")(_split)


class ReasonAnswer(BaseModel):
    """A reason. kind: behaviour, content, popular, creator, genre, rule or explored; items: of the history, each liked,
    and each measured to lift the item; share: share of the votes, 0 to 1."""

    kind: str
    text: str
    items: list[str]
    words: list[str]
    share: float


class ItemAnswer(BaseModel):
    """An item. score: null if a rule added the item and the model did not rank it."""

    rank: int
    item_id: str
    title: str
    genres: list[str]
    score: float | None


class ListedAnswer(ItemAnswer):
    """An item of a list. propensity: probability that the item is in the list; null where a version without a share of
    exploration of its own explores together with diversity or caps, and it is not known."""

    propensity: float | None
    reason: str
    reasons: list[ReasonAnswer]


class ListAnswer(BaseModel):
    """A list. slate_id: send it back with feedback; each logged list has its own. known: whether the version knows the
    user. unknown_items: ids in the history that the version does not know."""

    version: str
    slate_id: str
    known: bool
    unknown_items: list[str]
    items: list[ListedAnswer]


class ItemsAnswer(BaseModel):
    """Similar items, or search results."""

    version: str
    items: list[ItemAnswer]


class EvidenceAnswer(BaseModel):
    """Leave-one-out evidence. drop: loss in score without this history item; rank: the new rank."""

    item_id: str
    title: str
    drop: float
    rank: int | None


class ExplanationAnswer(BaseModel):
    """Why an item is, or is not, recommended. rank: its place in the list, at whatever depth, before rules
    change the order; left_out: why it is not in the list: seen, blocked, upcoming, expired, rule, disliked
    or filter."""

    version: str
    item_id: str
    title: str
    score: float
    rank: int | None
    left_out: str | None
    reasons: list[ReasonAnswer]
    evidence: list[EvidenceAnswer]


class Feedback(Strict):
    """One event, as in the events table; slate_id, position and propensity are those of the returned list."""

    user_id: Id
    item_id: Id
    event: Literal["impression", "play", "watch", "like", "favorite", "rating", "comment", "share", "skip", "dislike"]
    value: float | None = None
    session_id: StoredId | None = None
    slate_id: StoredId | None = None
    position: int | None = Field(None, ge=0, le=1_000_000)
    propensity: float | None = Field(None, gt=0, le=1)
    variant: StoredId | None = None
    event_id: Id | None = Field(
        None, description="your id of the event: told again, after a time-out for instance, it is not stored again"
    )


class FeedbackRequest(Strict):
    """Events that have just happened; they are stored with the time of arrival."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "user_id": "148",
                            "item_id": "257",
                            "event": "like",
                            "slate_id": "0123456789abcdef",
                            "position": 1,
                            "propensity": 1.0,
                        }
                    ]
                }
            ]
        }
    )

    events: Annotated[tuple[Feedback, ...], Field(min_length=1, max_length=500)]


class FeedbackAnswer(BaseModel):
    """kept: number of stored events; repeated: events whose event_id was told before; unknown_items: items that are in
    no catalogue, whose events are not stored."""

    kept: int
    repeated: int
    unknown_items: list[str]


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The served version: digest, time of publication, age in seconds, number of items and users. withdrawals: SHA-256
    of the withdrawals file in force; refused: digest of a version that failed its checks; fault: whether the last
    refresh failed, and where its reason stands."""

    version: str
    published_at: str | None
    age_s: float | None
    items: int
    users: int
    withdrawals: str | None
    refused: str | None
    fault: str | None


class Problem(BaseModel):
    """An error: what was wrong and what to do."""

    error: str
