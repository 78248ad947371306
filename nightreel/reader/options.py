"""`RequestOptions`: filters, pins, diversity, exploration, and what happened earlier in the visit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from nightreel.errors import UserError
from nightreel.reader.requests import arguments

MOST_IDS = 1000  # ids in one field
MOST_EXCLUDED = 10_000  # ids in `exclude`; to hide more items, use the catalogue's column `blocked`
MOST_REORDERED = 1000  # places before a page of a list that options or rules reorder


@dataclass(frozen=True)
class RequestOptions:
    """Options of one request for a list. Every default is neutral; ids that the version does not know are ignored.

    Attributes:
        languages: Only items in one of these languages; a language covers its regions and scripts (zh, zh-Hant).
        media_types: Only items of one of these media types.
        genres: Only items with at least one of these genres.
        audience_age: Only items that are suitable for this age in years; items without a `min_age` are left out.
        exclude: Ids of items to leave out.
        max_per_creator: Maximum number of items per creator.
        max_per_genre: Maximum number of items per genre.
        diversity: 0 (the model's order) to 1 (items as different as possible).
        freshness: 0 to 1, weight of being newer than the rest of the catalogue.
        pinned: Ids of items to put first, in this order.
        boosted: Ids of items to move up.
        buried: Ids of items to put after all others.
        liked: Ids of items liked in this visit, oldest first; they count as the newest events.
        skipped: Ids of items skipped in this visit; similar items move down.
        explore: Share of places, 0 to 1, for exploration; None for the version's own share (`refit.explore`). A version
            that has one fills them with items of which little is known: those that do best in a random draw from what
            is known of them. Any other version fills each place with this probability with a random candidate.
        seed: Random seed of the exploration, at least 0. Draws of a version that has a share of its own depend on the
            user and the day as well, so that a list stays the same for a day; else use another seed for each list.

    Raises:
        UserError: A value is out of range or of a wrong type, or a field has more than 1,000 ids (`exclude`: 10,000).

    Example:
        >>> options = RequestOptions(genres=("Drama",), diversity=0.3, max_per_creator=2)
        >>> options.filters, options.reorders
        (True, True)
        >>> RequestOptions(diversity=2.0)
        Traceback (most recent call last):
            ...
        nightreel.errors.UserError: diversity is 2.0. Give a number from 0 to 1.
    """

    languages: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    audience_age: int | None = None
    exclude: tuple[str, ...] = ()
    max_per_creator: int | None = None
    max_per_genre: int | None = None
    diversity: float = 0.0
    freshness: float = 0.0
    pinned: tuple[str, ...] = ()
    boosted: tuple[str, ...] = ()
    buried: tuple[str, ...] = ()
    liked: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    explore: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("diversity", "freshness", "explore"):
            if name == "explore" and self.explore is None:
                continue
            if not 0.0 <= arguments.number(name, getattr(self, name)) <= 1.0:
                raise UserError(f"{name} is {getattr(self, name)}. Give a number from 0 to 1.")
        for name, least in (("max_per_creator", 1), ("max_per_genre", 1), ("audience_age", 0)):
            if getattr(self, name) is not None:
                arguments.whole(name, getattr(self, name), least)
        arguments.whole("seed", self.seed, 0)
        for field in fields(self):
            if field.default != ():
                continue
            value = arguments.texts(field.name, getattr(self, field.name))
            most = MOST_EXCLUDED if field.name == "exclude" else MOST_IDS
            if len(value) > most:
                raise UserError(f"{field.name} has {len(value):,} entries; the maximum is {most:,}. Give fewer.")
            object.__setattr__(self, field.name, value)  # a list is kept as a tuple

    def also_skipped(self, items: tuple[str, ...]) -> RequestOptions:
        """The same options with more skipped items: the newest ones, if there are more than a request may name."""
        if not items:
            return self
        return replace(self, skipped=tuple(dict.fromkeys((*self.skipped, *items[::-1])))[:MOST_IDS])

    @property
    def filters(self) -> bool:
        """Whether they leave out items beyond those that are hidden from everybody."""
        named = (self.languages, self.media_types, self.genres, self.exclude, self.liked, self.skipped)
        return any(named) or self.audience_age is not None

    @property
    def reorders(self) -> bool:
        """Whether they change the order of the remaining items."""
        numbers = (self.diversity, self.freshness, self.explore, self.max_per_creator, self.max_per_genre)
        return any(numbers) or any((self.pinned, self.boosted, self.buried, self.skipped))


PLAIN = RequestOptions()
