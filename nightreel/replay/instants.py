"""When the nights of a replay are: a step between them, and the instants that a log has room for."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from nightreel.errors import UserError

UNITS_S = {"h": 3_600, "d": 86_400}


def seconds_of(step: str) -> int:
    """The seconds of a step.

    Args:
        step: A whole number of hours or days, such as `12h`, `1d` or `30d`.

    Returns:
        Seconds, at least 3,600.

    Raises:
        UserError: The text is no step.
    """
    found = re.fullmatch(r"(\d{1,4})([hd])", step.strip())
    if found is None or int(found[1]) == 0:
        raise UserError(f"--step {step!r}: is no step. Give whole hours or days, for example 12h, 1d, 7d or 30d.")
    return int(found[1]) * UNITS_S[found[2]]


def instant_of(text: str) -> float:
    """The instant that `--from` names.

    Args:
        text: ISO 8601; without a zone it is UTC.

    Returns:
        Epoch seconds.

    Raises:
        UserError: The text is no instant.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(
            f"--from {text!r}: is no instant. Give one in UTC, like 2026-11-30 or 2026-11-30T03:00."
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def told(moment: float) -> str:
    """An instant for people: its day, and its minute where that is not midnight (UTC)."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def nights(begins: float, ends: float, count: int, step: int, first: float | None) -> list[float]:
    """The instants of the nights, in order.

    The log must hold events before the step that comes before the first night: on that step the baselines are tuned.
    Without `first` the nights are the latest that the log has room for, at midnight (UTC) where the step is in days,
    else at the full hour; the step after the last one ends with the log.

    Args:
        begins: The log's first event, epoch seconds.
        ends: The log's end, epoch seconds.
        count: Nights, at least 1.
        step: Seconds from a night to the next.
        first: The first night's instant, epoch seconds; None: as late as may be.

    Returns:
        `count` epoch seconds.

    Raises:
        UserError: The log is too short for them.
    """
    unit = UNITS_S["h"] if step % UNITS_S["d"] else UNITS_S["d"]
    # The last day counts to its end, though its events stop before midnight.
    last = (ends // unit + 1) * unit
    begin = last - count * step if first is None else first
    if begin - step > begins and begin + count * step <= last:
        return [begin + number * step for number in range(count)]
    length = f"{(ends - begins) / UNITS_S['d']:.1f} days long ({told(begins)} to {told(ends)})"
    if first is not None:
        room = max(0, int((last - first) // step)) if first - step > begins else 0
        fits = f"from {told(first)} on there is room for {room}"
        most = (
            f"{fits}. Take fewer, a shorter --step, or a --from between {told(begins + step)} and {told(last - step)}."
        )
    else:
        room = -int((begins - last) // step) - 2  # whole steps that begin after the log does, but for the first
        most = f"the most is {max(0, room)}. Take fewer, or a shorter --step."
    apart = f"{step // UNITS_S['d']} days" if step % UNITS_S["d"] == 0 else f"{step // UNITS_S['h']} hours"
    raise UserError(
        f"--nights {count}: the log is {length}, too short for {count} nights {apart} apart: before the first "
        f"night it needs more than a step, and after each night a whole one; {most}"
    )
