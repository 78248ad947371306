"""What whoever asks may wish of a list: filters, rules, spread, and what happened earlier in the visit."""

from __future__ import annotations

from dataclasses import dataclass, fields

from nightreel.errors import UserError

MOST_IDS = 1000  # ids in one field: more belong into the catalogue's `blocked`


@dataclass(frozen=True)
class RequestOptions:
    """All fields have a neutral default; ids that the bundle does not know are passed over.

    languages, media_types, genres: only items with one of these (a language covers its regions: zh, zh-Hant).
    audience_age: only items for an audience of this age; those without a `min_age` are left out.
    exclude: never these. max_per_creator, max_per_genre: at most so many in a list.
    diversity: 0 (the model's order) to 1 (as unlike each other as the candidates permit).
    freshness: 0 to 1, how much being newer than the rest of the catalogue counts.
    pinned: first, in this order. boosted: moved up. buried: only after everything else.
    liked, skipped: this visit so far, oldest first; likes count as the newest events, skips push away their like.
    explore: share of places, 0 to 1, given to a random candidate; seed: of that draw, one a list.
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
    explore: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("diversity", "freshness", "explore"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"{name} is {getattr(self, name)}. Give a number from 0 to 1.")
        for name in ("max_per_creator", "max_per_genre"):
            cap = getattr(self, name)
            if cap is not None and cap < 1:
                raise UserError(f"{name} is {cap}. Give 1 or more, or leave it out.")
        if self.audience_age is not None and self.audience_age < 0:
            raise UserError(f"audience_age is {self.audience_age}. Give years, 0 or more, or leave it out.")
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}. Give 0 or more.")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and len(value) > MOST_IDS:
                raise UserError(f"{field.name} holds {len(value)} entries; {MOST_IDS} is the most. Name fewer.")

    @property
    def filters(self) -> bool:
        """Whether they keep items out, beyond what is hidden from all."""
        named = (self.languages, self.media_types, self.genres, self.exclude, self.liked, self.skipped)
        return any(named) or self.audience_age is not None

    @property
    def reorders(self) -> bool:
        """Whether they change the order of what is left."""
        numbers = (self.diversity, self.freshness, self.explore, self.max_per_creator, self.max_per_genre)
        return any(numbers) or any((self.pinned, self.boosted, self.buried, self.skipped))


PLAIN = RequestOptions()
