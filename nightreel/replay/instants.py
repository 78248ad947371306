"""The times of a replay's nights: parsing of `--step` and `--from`, and the nights that fit into a log."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from nightreel.errors import UserError

UNITS_S = {"h": 3_600, "d": 86_400}


def seconds_of(step: str) -> int:
    """Parse `--step`.

    Args:
        step: A whole number of hours or days, such as `12h`, `1d` or `30d`.

    Returns:
        Seconds, at least 3,600.

    Raises:
        UserError: The text is not a valid step.
    """
    found = re.fullmatch(r"(\d{1,4})([hd])", step.strip())
    if found is None or int(found[1]) == 0:
        raise UserError(f"--step {step!r}: is not valid. Give whole hours or days, for example 12h, 1d, 7d or 30d.")
    return int(found[1]) * UNITS_S[found[2]]


def instant_of(text: str) -> float:
    """Parse `--from`.

    Args:
        text: ISO 8601; without a zone it is UTC.

    Returns:
        Epoch seconds.

    Raises:
        UserError: The text is not a valid time.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(
            f"--from {text!r}: is not a valid time. Give one in UTC, for example 2026-11-30 or 2026-11-30T03:00."
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def format_time(moment: float) -> str:
    """Format a time as its date and, unless it is midnight, its hour and minute (UTC)."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def iso(moment: float) -> str:
    """A time in ISO 8601, in UTC.

    Example:
        >>> iso(1_767_225_600.0)
        '2026-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def nights(begins: float, ends: float, count: int, step: int, first: float | None) -> list[float]:
    """Compute the times of the nights, in order.

    The log must begin more than one step before the first night, because the baselines are tuned on that step. Without
    `first`, the nights are the latest that fit into the log, at midnight (UTC) if the step is in days, else at the full
    hour; the step after the last night ends with the log.

    Args:
        begins: The log's first event, epoch seconds.
        ends: The log's end, epoch seconds.
        count: Number of nights, at least 1.
        step: Seconds from one night to the next.
        first: Time of the first night, epoch seconds; None: as late as possible.

    Returns:
        `count` epoch seconds.

    Raises:
        UserError: The log is too short.
    """
    unit = UNITS_S["h"] if step % UNITS_S["d"] else UNITS_S["d"]
    # The last day counts as complete, although its events end before midnight.
    last = (ends // unit + 1) * unit
    begin = last - count * step if first is None else first
    if begin - step > begins and begin + count * step <= last:
        return [begin + number * step for number in range(count)]
    length = f"{(ends - begins) / UNITS_S['d']:.1f} days long ({format_time(begins)} to {format_time(ends)})"
    if first is not None:
        room = max(0, int((last - first) // step)) if first - step > begins else 0
        latest = f"{format_time(begins + step)} and {format_time(last - step)}"
        fits = f"from {format_time(first)} on, {room} fit"
        most = f"{fits}. Take fewer, a shorter --step, or a --from between {latest}."
    else:
        room = -int((begins - last) // step) - 2  # whole steps that begin after the log does, without the first
        most = f"at most {max(0, room)} fit. Take fewer, or a shorter --step."
    apart = f"{step // UNITS_S['d']} days" if step % UNITS_S["d"] == 0 else f"{step // UNITS_S['h']} hours"
    raise UserError(
        f"--nights {count}: the log is {length}, too short for {count} nights {apart} apart. It needs more than one "
        f"step before the first night, and a whole step after each night; {most}"
    )
