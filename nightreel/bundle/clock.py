"""The time for which a list is computed, used by the features of the ranking.

The other clock of a reader, which decides what may be shown, is in nightreel.reader.visibility.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from nightreel.data.histories import FloatArray, Histories
from nightreel.errors import UserError

STEP_S = 60.0  # seconds between the items of a history without times: one sitting
LAST_EVENT: Literal["last-event"] = "last-event"
Moment = float | Literal["last-event"] | None
"""Time for which a list is computed: epoch seconds (a position where the source has no clock), "last-event" for just
after the user's last event, or None for the end of the version's data."""
NOW = np.nan  # what the models take for the end of the data
# Epoch seconds: smaller values are positions or dates without dashes, larger ones are milliseconds.
PLAUSIBLE = (1e8, 1e11)
UNITS = "a time, as ISO 8601 (2026-11-30T20:15:00Z) or in epoch seconds"


@dataclass(frozen=True)
class Clock:
    """Clock of a version. ordered: times are positions, not epoch seconds; until: end of the version's data."""

    ordered: bool
    until: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Clock:
        """Read the clock from a bundle's config."""
        return cls(config["clock"] == "order", float(config["data_until"]))

    def moments(self, past: Histories, at: Moment | Sequence[Moment]) -> FloatArray:
        """Resolve the times for which lists are computed.

        Args:
            past: n histories.
            at: One time for all, or [n].

        Returns:
            [n] times in the unit of the histories; NaN for the end of the data.
        """
        if at is None:
            return np.full(len(past), NOW)
        each = each_of(at, len(past))
        last = past.last_times if any(one == LAST_EVENT for one in each) else np.empty(0)
        moments = (
            NOW if one is None else last[row] if one == LAST_EVENT else float(one) for row, one in enumerate(each)
        )
        return np.fromiter(moments, np.float64, len(past))

    def sitting(self, items: list[int], at: Moment) -> Histories:
        """A history of one row from item indices without times; the last event is at `at` or at the end of the data."""
        steps = np.arange(len(items), dtype=np.float64)
        if not self.ordered:
            steps = self.end(at) - STEP_S * steps[::-1]
        return Histories.from_rows([(items, steps.tolist())])

    def end(self, at: Moment) -> float:
        """The time of an event that has just happened, for a user without known times."""
        return self.until if at is None or at == LAST_EVENT else float(at)

    def moment(self, value: object) -> Moment:
        """Parse a time as users write it or as a file's cell holds it.

        Args:
            value: "last-event", epoch seconds, a position where the source has no clock, a date or date and time (ISO
                8601, UTC unless it names a zone), or nothing for the end of the data.

        Returns:
            The time.

        Raises:
            UserError: It is none of these, or a date where the source has positions.
        """
        if value is None or value == "" or value == LAST_EVENT:
            return value or None  # type: ignore[return-value]
        number = _number(value)
        if number is None and not self.ordered:
            number = _seconds(str(value))
        least, most = (0.0, math.inf) if self.ordered else PLAUSIBLE
        if number is None or not least <= number < most:
            unit = "a position, since this version's source has no clock" if self.ordered else UNITS
            raise UserError(
                f"moment {str(value)!r}: is not a valid time for this version. Give {LAST_EVENT} or {unit}."
            )
        return number


def each_of(at: Moment | Sequence[Moment], n: int) -> Sequence[Moment]:
    """[n] times, from one for all or from n."""
    return [at] * n if at is None or isinstance(at, str | int | float) else at


def tonight(clock: str) -> str:
    """The value of `moment` in a bundle's config. Positions are relative to each user and end with the user's last
    event. Older readers depend on this value."""
    return "data_until" if clock == "time" else "last_event"


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
