"""The kinds of trouble that a script may ask for, with their settings.

A *passing* trouble damages what is delivered for `nights` nights; then the delivery is whole again. A *lasting* one
changes what is true from its night on. The others happen to the night itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nightreel.settings.section import Section

Count = Annotated[int, Field(ge=1)]


class Passing(Section):
    """Damages the delivery for some nights."""

    nights: Count = 1
    """Number of nights until the delivery is whole again."""


class CorruptDay(Passing):
    """The file with the newest step's events breaks off in the middle."""

    kind: Literal["corrupt day"]


class LateDay(Passing):
    """The file with the newest step's events is not there yet."""

    kind: Literal["late day"]


class DoubledCatalogue(Passing):
    """Every item is in the catalogue a second time, under another id."""

    kind: Literal["doubled catalogue"]


class ChangedSchema(Passing):
    """A column has another name, or is gone: in the file with the newest step's events, or in the catalogue."""

    kind: Literal["schema change"]
    table: Literal["events", "items"] = "events"
    column: str
    to: str | None = None
    """The other name; none: the column is gone."""


class Takedown(Section):
    """The most played items are blocked for good."""

    kind: Literal["takedown"]
    items: Count = 10


class Erasure(Section):
    """The most active users ask to be forgotten, and do not come again."""

    kind: Literal["erasure"]
    users: Count = 5


class DeliveredTwice(Section):
    """The newest step's events are delivered once more, in another file."""

    kind: Literal["delivery twice"]


class Bot(Section):
    """One user plays a few items in the newest step, as often as all others together play anything."""

    kind: Literal["bot"]
    items: Count = 3


class KilledStage(Section):
    """A stage's process gets SIGKILL."""

    kind: Literal["killed stage"]
    stage: str
    after_s: Annotated[float, Field(ge=0)] = 0.5
    """Seconds after its process began."""


class StoreDown(Section):
    """The store is not reachable while the night runs: a file stands where its folder was."""

    kind: Literal["store down"]


class NoNight(Section):
    """The night does not begin, as on a machine that is off."""

    kind: Literal["no night"]


Trouble = Annotated[
    CorruptDay
    | LateDay
    | DoubledCatalogue
    | ChangedSchema
    | Takedown
    | Erasure
    | DeliveredTwice
    | Bot
    | KilledStage
    | StoreDown
    | NoNight,
    Field(discriminator="kind"),
]
OF_THE_NEWEST_STEP = (CorruptDay, LateDay, DeliveredTwice, Bot)
"""Kinds that need a step between two nights, so that the first night can't have them."""
