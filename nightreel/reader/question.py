"""What a request asks for: whose history, at what time, and what to leave out. Every method of a reader starts here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nightreel.bundle.clock import LAST_EVENT, STEP_S, Moment
from nightreel.bundle.newcomers import Rows
from nightreel.data.contract.verdicts import code_of
from nightreel.data.histories import FloatArray, Histories
from nightreel.errors import UserError
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import RequestOptions
from nightreel.reader.requests import arguments
from nightreel.reader.requests.context import parsed
from nightreel.reader.requests.recent_events import NOTHING, Recent

SAME_S = 60.0  # seconds within which two tellings of an event's time are of one event


@dataclass(frozen=True, eq=False)
class Question:
    """One request.

    Attributes:
        past: One history.
        exclude: One row of items to leave out, or None.
        moments: [1] time of the list.
        row: The user's row if the precomputed list applies, else None.
        segments: Of a user without events, the rows of known labels by column, see nightreel.bundle.newcomers.
    """

    past: Histories
    exclude: Histories | None
    moments: FloatArray
    row: int | None = None
    segments: Rows = field(default_factory=dict)


def resolve_request(
    bundle: OpenBundle,
    user: str | None,
    history: Sequence[str] | None,
    at: Moment,
    exclude_seen: bool | None,
    options: RequestOptions,
    recent: Recent = NOTHING,
    context: Mapping[str, object] | None = None,
) -> Question:
    """Resolve a request for a user or a history, including recent events and this visit's likes; raises UserError for
    a wrong type."""
    given = parsed(context, bundle.newcomers)
    arguments.moment("at", at, LAST_EVENT)
    arguments.flag("exclude_seen", exclude_seen)
    without = bundle.config["exclude_seen"] if exclude_seen is None else exclude_seen
    liked, clock = bundle.items.rows_of(options.liked), bundle.clock
    if history is not None:
        if user is not None:
            raise UserError("Give a user or a history, not both: a history replaces the user's own.")
        ids = arguments.texts("history", history, ordered=True)
        past = _given(clock.sitting([i for i in map(bundle.items.index_of, ids) if i is not None], at))
        exclude, row = past if without else None, None
    else:
        number = int(bundle.users.rows([arguments.text("user", user)])[0]) if user is not None else len(bundle.users)
        past = bundle.users.histories.row(number)
        exclude = bundle.users.seen.row(number) if without else None
        usual = at is None and without == bundle.config["exclude_seen"] and not liked
        row = number if usual else None
    arguments.of_type("recent", recent, Recent)
    if recent.revision:
        past, row = _with_recent(bundle, past, recent), None
        if without:
            exclude = _joined(exclude, bundle.items.rows_of(recent.seen))
    moments = clock.moments(past, at)
    if liked:
        # Positions are relative to each user, so their end is only known from the user's own events.
        past = _extended(past, liked, 1.0, -1.0) if clock.ordered else _extended(past, liked, STEP_S, clock.end(at))
    segments = segments_of(bundle, user, given) if not len(past.items) else {}
    past = past.not_liked(bundle.items.rows_of((*options.skipped, *recent.disliked)))
    return Question(past, exclude, moments, None if segments else row, segments)


def segments_of(
    bundle: OpenBundle, user: str | None, context: Mapping[str, Iterable[str]]
) -> dict[str, tuple[int, ...]]:
    """Rows of the labels that are known of a user without events: those of the request, else of the table `users`."""
    newcomers = bundle.newcomers
    if newcomers is None:
        return {}
    own = newcomers.of_user(bundle.users.names([user])[0]) if user is not None else {}
    return {name: rows for name, rows in own.items() if name not in context} | newcomers.segments.rows(context)


def _given(past: Histories) -> Histories:
    """A history that a request names: its items count as liked."""
    return replace(past, verdicts=np.full(len(past.items), code_of("like"), np.int8))


def _with_recent(bundle: OpenBundle, past: Histories, recent: Recent) -> Histories:
    """A history of one row with the recent likes behind it, but for those that it holds already: the version was made
    after they were told."""
    items, times = past[0]
    latest = dict(zip(items.tolist(), times.tolist(), strict=True))
    rows = [bundle.items.index_of(item) for item in recent.liked]
    ordered = bundle.clock.ordered
    new = [
        (row, moment, code)
        for row, moment, code in zip(rows, recent.times, recent.codes, strict=True)
        if row is not None and not (row in latest and (ordered or latest[row] >= moment - SAME_S))
    ]
    last = float(times[-1]) if len(times) else 0.0
    # Positions go on by one; times never go back, whatever clock told them.
    more = [last + 1.0 + at if ordered else max(last, moment) for at, (_, moment, _) in enumerate(new)]
    return past.followed_by([row for row, _, _ in new], more, [code for _, _, code in new])


def _joined(exclude: Histories | None, items: list[int]) -> Histories:
    """One row of items to leave out, with more of them."""
    own = exclude.items.tolist() if exclude is not None else []
    every = [*own, *items]
    return Histories.from_rows([(every, [0.0] * len(every))])


def _extended(past: Histories, liked: Sequence[int], step: float, until: float) -> Histories:
    """Append likes to a one-row history, `step` apart and after `until`: this visit is now, even if the last event was
    long ago."""
    last = max(float(past.times[-1]), until) if len(past.times) else until
    more = last + step * np.arange(1, len(liked) + 1)
    return past.followed_by(liked, more.tolist(), [code_of("like")] * len(liked))
