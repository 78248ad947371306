"""What the service is asked with and answers with; the OpenAPI document is made from this."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from nightreel.reader.options import MOST_IDS, RequestOptions

MOST_K, MOST_HISTORY = 200, 1000
Id = Annotated[str, Field(min_length=1, max_length=256)]
Ids = Annotated[tuple[Id, ...], Field(max_length=MOST_IDS)]
Share = Annotated[float, Field(ge=0, le=1)]
When = Annotated[
    Annotated[str, Field(max_length=64)] | float | None,
    Field(
        description="the list as of last-event (just when the user last did something), or of a time: ISO 8601 or "
        "epoch seconds, a position where the source has no clock; default: tonight"
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
    """Unknown fields are errors: a misspelled wish would be passed over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListRequest(Strict):
    """A user or a history (oldest first), neither for somebody unknown; and what the list should be like."""

    model_config = ConfigDict(json_schema_extra={"examples": [LIST_EXAMPLE, VISIT_EXAMPLE]})

    user: Id | None = None
    history: Annotated[tuple[Id, ...], Field(max_length=MOST_HISTORY)] | None = None
    k: int = Field(10, ge=1, le=MOST_K)
    exclude_seen: bool | None = Field(
        None, description="leave out what was seen; default: as the version was evaluated"
    )
    moment: When = None
    reasons: bool = Field(False, description="say why, for each item")
    languages: Ids = Field((), description="only these; zh covers zh-Hant")
    media_types: Ids = Field((), description="only these")
    genres: Ids = Field((), description="only items with one of these")
    audience_age: int | None = Field(None, ge=0, le=150, description="only items that this age may see")
    exclude: Ids = Field((), description="never these items")
    max_per_creator: int | None = Field(None, ge=1)
    max_per_genre: int | None = Field(None, ge=1)
    diversity: Share = Field(0.0, description="0: the model's order; 1: as unlike each other as possible")
    freshness: Share = Field(0.0, description="how much being newer than the rest of the catalogue counts")
    pinned: Ids = Field((), description="first, in this order")
    boosted: Ids = Field((), description="moved up")
    buried: Ids = Field((), description="after everything else")
    liked: Ids = Field((), description="in this visit: counts at once")
    skipped: Ids = Field((), description="in this visit: pushes away what is like it")
    explore: Share = Field(0.0, description="share of places given to a random candidate, its propensity told")
    seed: int | None = Field(None, ge=0, lt=2**63, description="of the exploration; drawn anew for each list if absent")
    shown: bool = Field(True, description="false: nobody gets to see this list, so it is no impression to log")

    def wishes(self, seed: int) -> RequestOptions:
        """As the reader takes them; seed: in place of one not given."""
        given = self.model_dump(exclude={"user", "history", "k", "exclude_seen", "moment", "reasons", "seed", "shown"})
        return RequestOptions(**given, seed=seed if self.seed is None else self.seed)


class ReasonAnswer(BaseModel):
    """kind: behaviour, content, popular, creator, genre or rule; share: of the votes for the item."""

    kind: str
    text: str
    items: list[str]
    words: list[str]
    share: float


class ItemAnswer(BaseModel):
    """An item; score: null where a rule brought in what the model did not rank."""

    rank: int
    item_id: str
    title: str
    genres: list[str]
    score: float | None


class ListedAnswer(ItemAnswer):
    """An item of a list. propensity: with what probability it is in it; null where exploration came with diversity or
    caps, and it is not known."""

    propensity: float | None
    reason: str
    reasons: list[ReasonAnswer]


class ListAnswer(BaseModel):
    """A list. slate_id: to be sent back with feedback, another one for each list that is logged; known: whether the
    version knows the user."""

    version: str
    slate_id: str
    known: bool
    unknown_items: list[str]
    items: list[ListedAnswer]


class ItemsAnswer(BaseModel):
    """Items that are near, or that a text fits."""

    version: str
    items: list[ItemAnswer]


class EvidenceAnswer(BaseModel):
    """drop: what the score loses when the served model is asked again without the item."""

    item_id: str
    title: str
    drop: float
    rank: int | None


class ExplanationAnswer(BaseModel):
    """rank: among the candidates, null for none; left_out: seen, blocked, upcoming, expired or by a
    rule."""

    version: str
    item_id: str
    title: str
    score: float
    rank: int | None
    left_out: str | None
    reasons: list[ReasonAnswer]
    evidence: list[EvidenceAnswer]


class Feedback(Strict):
    """One event, in the terms of the events table; slate_id, position and propensity as the list told them."""

    user_id: Id
    item_id: Id
    event: Literal["impression", "play", "watch", "like", "favorite", "rating", "comment", "share", "skip", "dislike"]
    value: float | None = None
    session_id: Id | None = None
    slate_id: Id | None = None
    position: int | None = Field(None, ge=0)
    propensity: float | None = Field(None, gt=0, le=1)
    variant: Id | None = None


class FeedbackRequest(Strict):
    """Events that happened just now; they get the moment of their arrival."""

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
    """How many events were kept."""

    kept: int


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """What is served: version, when it was published, its age in seconds; items that it holds, users whom it knows;
    withdrawals: SHA-256 of the file that says what may not be shown; fault: what a refresh failed with."""

    version: str
    published_at: str | None
    age_s: float | None
    items: int
    users: int
    withdrawals: str | None
    refused: str | None
    fault: str | None


class Problem(BaseModel):
    """What was wrong and what to do."""

    error: str
