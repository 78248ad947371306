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

STEP_S = 60.0  # apart, in a history given without times: one sitting
LAST_EVENT: Literal["last-event"] = "last-event"
Moment = float | Literal["last-event"] | None
"""Of an answer's features: epoch seconds (a position where the source has no clock), "last-event" for just when the
asked user last did something, or None for tonight, just after the last event that the version knows."""
NOW = np.nan  # what the engine takes for tonight
PLAUSIBLE = (1e8, 1e11)  # epoch seconds: less is a position or a date without dashes, more is in milliseconds
UNITS = "a time, as ISO 8601 (2026-11-30T20:15:00Z) or in epoch seconds"


@dataclass(frozen=True)
class Clock:
    """ordered: times are positions, not epoch seconds; until: when the bundle's data end."""

    ordered: bool
    until: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Clock:
        """From a bundle's config."""
        return cls(config["clock"] == "order", float(config["data_until"]))

    def moments(self, past: Histories, at: Moment | Sequence[Moment]) -> FloatArray:
        """The moments of answers to histories.

        Args:
            past: n histories.
            at: One moment for all, or [n].

        Returns:
            [n] in the history's own unit; NaN for tonight.
        """
        each = each_of(at, len(past))
        last = past.last_times if any(one == LAST_EVENT for one in each) else np.empty(0)
        told = (NOW if one is None else last[row] if one == LAST_EVENT else float(one) for row, one in enumerate(each))
        return np.fromiter(told, np.float64, len(past))

    def sitting(self, items: list[int], at: Moment) -> Histories:
        """One row of item indices that were given without times, the last of them at `at` or when the data end."""
        steps = np.arange(len(items), dtype=np.float64)
        if not self.ordered:
            steps = self.end(at) - STEP_S * steps[::-1]
        return Histories.from_rows([(items, steps.tolist())])

    def end(self, at: Moment) -> float:
        """When somebody of whom no time is known has just done something."""
        return self.until if at is None or at == LAST_EVENT else float(at)

    def moment(self, told: object) -> Moment:
        """A moment as people write it, or a file's cell holds it.

        Args:
            told: "last-event", epoch seconds, a position where the source has no clock, a date or date and time (ISO
                8601, UTC unless it names a zone), or nothing for tonight.

        Raises:
            UserError: It is none of these, or a date where the source has positions.
        """
        if told is None or told == "" or told == LAST_EVENT:
            return told or None  # type: ignore[return-value]
        number = _number(told)
        if number is None and not self.ordered:
            number = _seconds(str(told))
        least, most = (0.0, math.inf) if self.ordered else PLAUSIBLE
        if number is None or not least <= number < most:
            unit = "a position, since this version's source has no clock" if self.ordered else UNITS
            raise UserError(f"moment {str(told)!r}: is not a valid time for this version. Give {LAST_EVENT} or {unit}.")
        return number


def each_of(at: Moment | Sequence[Moment], n: int) -> Sequence[Moment]:
    """[n] moments, of one for all or of as many."""
    return [at] * n if at is None or isinstance(at, str | int | float) else at


def tonight(clock: str) -> str:
    """What a bundle's config says of lists that are for tonight. Positions are each user's own, and end with the user's
    last event. Readers of an earlier Nightreel answer as it says."""
    return "data_until" if clock == "time" else "last_event"


def _number(told: object) -> float | None:
    try:
        return float(told) if isinstance(told, int | float | str) and not isinstance(told, bool) else None
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
