"""Runs the nights of a replay in order, from the terminal and from a flow alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.project import Project
from nightreel.replay import night as replay_night
from nightreel.replay import plan as replay_plan
from nightreel.replay import result_files
from nightreel.replay.next_step import meetings
from nightreel.replay.night_run import Row
from nightreel.replay.paired import Overall
from nightreel.replay.plan import ReplayOptions, ReplayPlan
from nightreel.stage import prepare_state
from nightreel.store.fence import run_lock

Server = Callable[[Project], AbstractContextManager[Callable[[], None]]]
"""Makes a Prefect API available for the nights of a replay; yields a function that waits for it."""


class Listener(Protocol):
    """Follows a replay."""

    def busy(self, what: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that something takes a while; yields a function that adds details to it."""

    def begin(self, plan: ReplayPlan) -> None:
        """Handle the plan."""

    def night(self, row: Row, number: int) -> None:
        """Handle a night that is over."""

    def end(self, plan: ReplayPlan, rows: Sequence[Row], found: Overall | None) -> None:
        """Handle the end."""


@dataclass(frozen=True)
class Replayed:
    """The result. folder: of all files; rows: of the nights; overall: their summary, None if nothing was published."""

    folder: Path
    rows: list[Row]
    overall: Overall | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {"folder": str(self.folder), "nights": self.rows, "overall": result_files.as_json(self.overall)}

    @property
    def wrong(self) -> list[Row]:
        """The nights that were not as they should be."""
        return [row for row in self.rows if _wrong(row)]


def run(options: ReplayOptions, listener: Listener, server: Server) -> Replayed:
    """Run every unfinished night.

    Raises:
        UserError: The options or the source are not valid, or another process runs this replay.
    """
    with listener.busy("reading the source"):
        plan = replay_plan.make(options)
        log = meetings(plan.log.loaded, plan.settings.validate_, private=plan.settings.snapshot.pseudonymise != "off")
    listener.begin(plan)
    rows, overall, ready = list[Row](), None, None
    prepare_state(plan.place.state)
    with ExitStack() as stack:
        stack.enter_context(replay_plan.away_from_the_live())
        lock = stack.enter_context(exclusive(run_lock(plan.place.state), "this replay"))
        for number, night in enumerate(plan.nights, 1):
            row = replay_night.kept(plan, night)
            if row is None:
                with listener.busy(f"night {number} of {len(plan.nights)}") as progress:
                    # One server for all nights, started only if there is a night left to run.
                    ready = ready or stack.enter_context(server(plan.place))
                    ready()
                    row = replay_night.play(plan, log, night, rows, lock, progress)
            rows.append(row)
            listener.night(row, number)
            overall = result_files.write(plan, rows)
    listener.end(plan, rows, overall)
    return Replayed(plan.folder, rows, overall)


def _wrong(row: Row) -> bool:
    """Whether a night makes the replay fail: an error, unless a script has asked for it."""
    if "as_expected" not in row:
        return bool(row["error"])
    return not row["as_expected"] or bool(row["silent"] or row["lost_rows"] or row["came_back"] or row["lost_versions"])
