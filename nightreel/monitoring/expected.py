"""When the next night is expected: what Prefect's server said last, kept for the time when it does not answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nightreel.monitoring.history import FOLDER
from nightreel.monitoring.night import Night
from nightreel.stage import write_json

EARLY_S = 60.0  # a run may begin a little before the second that it was planned for


@dataclass(frozen=True)
class Expected:
    """When nights are expected, in epoch seconds.

    Attributes:
        due: The earliest planned night that has not begun yet, in the past or to come; None if none is planned.
        next: The next one to come, which may be the same.
        paused: Whether a person paused the schedule.
    """

    due: float | None
    next: float | None
    paused: bool = False


def kept(state: Path) -> Expected | None:
    """What is known; None if the server was never asked."""
    try:
        found = json.loads(_file(state).read_text("utf-8"))
        return Expected(found["due"], found["next"], bool(found["paused"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(state: Path, coming: float | None, *, paused: bool, nights: Sequence[Night], now: float) -> Expected:
    """Keep the server's plan. A planned time that passed without a night stays due until one begins.

    Args:
        state: The state directory.
        coming: The next planned night, epoch seconds; None if none is planned.
        paused: Whether the schedule is paused.
        nights: The history, the latest first.
        now: Epoch seconds.
    """
    before = unfulfilled(kept(state), nights)
    due = before if before is not None and before <= now and not paused else coming
    found = Expected(None if paused else due, coming, paused)
    write_json(_file(state), asdict(found))
    return found


def unfulfilled(expected: Expected | None, nights: Sequence[Night]) -> float | None:
    """The time that a night was planned for if none has begun since; None if none is overdue or planned."""
    if expected is None or expected.due is None or expected.paused:
        return None
    last = max((night.began for night in nights), default=0.0)
    return None if last >= expected.due - EARLY_S else expected.due


def _file(state: Path) -> Path:
    return state / FOLDER / "plan" / "expected.json"
