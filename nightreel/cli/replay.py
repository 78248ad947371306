"""`nightreel replay`: a log's nights lived through one after the other, each judged by the step that follows it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.options import AsJson

PATIENCE_S = 900.0  # for the server to start: a replay takes hours, on a machine that may be busy


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(replay)


def replay(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder or s3:// prefix with items.* and events.*.")],
    nights: Annotated[int, typer.Option("--nights", min=1, help="How many nights.")],
    step: Annotated[str, typer.Option("--step", help="From a night to the next: 12h, 1d, 7d, 30d.")] = "1d",
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="The first night, in UTC; default: the latest possible."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FOLDER", help="All that the replay keeps; default: below the state directory."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a setting of every night.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Live through the nights of a log, and judge each by what its readers did next.

    Each night gets the log as it was then, and runs whole, publishing into a store of the replay's own. The users of
    the step that follows are then answered by what is published, at their first event of it, beside two baselines
    that are tuned on the step before: popularity with a half-life, and EASE with recent popularity. NDCG@10 against all
    that they took to in that step and had not met before. The live channel and the checkout are never written.

    Killed at any point, the same command goes on with the next unfinished night. A night that fails is a row with its
    error; the replay goes on, and ends with exit code 1.
    """
    from nightreel.replay.plan import ReplayOptions

    try:
        table = _play(ReplayOptions(source, nights, step, first, state, changes or (), as_json))
    except KeyboardInterrupt:
        typer.secho("stopped: finished nights are kept, and the same command goes on from there", fg="yellow", err=True)
        raise
    if as_json:
        sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    if any(row["error"] for row in table["nights"]):
        raise typer.Exit(1)


def _play(wishes: Any) -> dict[str, Any]:
    """Every night that is still to come; then what they came to."""
    from nightreel.cli.replay_view import ReplayView
    from nightreel.orchestration.lock import exclusive
    from nightreel.orchestration.prefect import run_server
    from nightreel.replay import night as replay_night
    from nightreel.replay import plan as replay_plan
    from nightreel.replay import result_files
    from nightreel.replay.next_step import meetings

    screen = ReplayView(as_json=wishes.as_json)
    with screen.busy("reading the source"):
        plan = replay_plan.make(wishes)
        log = meetings(plan.log.loaded, plan.settings.validate_, private=plan.settings.snapshot.pseudonymise != "off")
    screen.begin(plan)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        stack.enter_context(replay_plan.away_from_the_live())
        lock = stack.enter_context(exclusive(plan.place.state / "locks" / "run.lock", "this replay"))
        ready = None
        for number, night in enumerate(plan.nights, 1):
            row = replay_night.kept(plan, night)
            if row is None:
                with screen.busy(f"night {number} of {len(plan.nights)}") as told:
                    # One server for all nights, and none where there is nothing left to do.
                    ready = ready or stack.enter_context(run_server.api(plan.place, PATIENCE_S))
                    ready()
                    row = replay_night.play(plan, log, night, rows[-1] if rows else None, lock, told)
            rows.append(row)
            screen.night(row, number)
            result_files.write(plan, rows)
    found = result_files.read(plan, rows)
    screen.end(plan, rows, found)
    return {"folder": str(plan.folder), "nights": rows, "overall": result_files.as_json(found)}
