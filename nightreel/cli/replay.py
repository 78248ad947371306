"""`nightreel replay`: prequential evaluation. Runs a log's nights in order, each scored on the step that follows it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.help_groups import RUN
from nightreel.cli.options import AsJson

PATIENCE_S = 900.0  # for the server to start: a replay takes hours, on a machine that may be busy


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=RUN)(replay)


def replay(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder or s3:// prefix with items.* and events.*.")],
    nights: Annotated[int, typer.Option("--nights", min=1, help="Number of nights.")],
    step: Annotated[str, typer.Option("--step", help="Time from one night to the next: 12h, 1d, 7d, 30d.")] = "1d",
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Time of the first night, in UTC. Default: the latest possible."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FOLDER", help="Where the replay keeps its files. Default: in the state directory."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a setting of every night.")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option("--script", metavar="FILE", help="Trouble by night, with what is expected of it (YAML)."),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            "--publish",
            metavar="CHANNEL",
            help="Publish every night into this channel of the store that is served (backfill). Default: into a store "
            "of the replay's own.",
        ),
    ] = None,
    into_live: Annotated[
        bool, typer.Option("--into-live", help="With --publish live: replace what users are served.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replay the nights of a log and score each on what users did next (prequential evaluation).

    Each night sees the log as it was at that time, runs the whole pipeline and publishes into a store of its own. The
    published version then recommends to the users who are active in the following step, as of their first event in it.
    NDCG@10 counts the items they liked in that step and had not seen before. Two baselines, tuned on the step before,
    are scored in the same way: popularity with a half-life, and EASE times recent popularity. The checkout is never
    written, and the live channel only with --publish live --into-live.

    With --publish, the nights are published into a channel of the store that is served: a backfill. Whoever is erased
    by now is left out of all of them.

    With --script, things go wrong as the file says: a takedown, a corrupt day, a killed stage and more. Each night is
    then compared with what the script expects of it, and what was silent or lost is counted.

    If the replay is stopped, the same command continues with the next unfinished night. A failed night becomes a row
    with its error; the replay continues, and exits with code 1. With a script, the exit code is 1 if a night was not as
    expected, or anything was silent or lost.
    """
    from nightreel.replay.plan import ReplayOptions

    try:
        table = _play(
            ReplayOptions(source, nights, step, first, state, changes or (), as_json, script, publish, into_live)
        )
    except KeyboardInterrupt:
        typer.secho("stopped: finished nights are kept; the same command continues from there", fg="yellow", err=True)
        raise
    if as_json:
        sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    if any(_wrong(row) for row in table["nights"]):
        raise typer.Exit(1)


def _wrong(row: dict[str, Any]) -> bool:
    """Whether a night makes the command fail: an error, unless a script has asked for it."""
    if "as_expected" not in row:
        return bool(row["error"])
    return not row["as_expected"] or bool(row["silent"] or row["lost_rows"] or row["came_back"] or row["lost_versions"])


def _play(options: Any) -> dict[str, Any]:
    """Run every unfinished night, then show the table and the means."""
    from nightreel.cli.replay_view import ReplayView
    from nightreel.orchestration.lock import exclusive
    from nightreel.orchestration.prefect import run_server
    from nightreel.replay import night as replay_night
    from nightreel.replay import plan as replay_plan
    from nightreel.replay import result_files
    from nightreel.replay.next_step import meetings
    from nightreel.stage import prepare_state
    from nightreel.store.fence import run_lock

    screen = ReplayView(as_json=options.as_json)
    with screen.busy("reading the source"):
        plan = replay_plan.make(options)
        log = meetings(plan.log.loaded, plan.settings.validate_, private=plan.settings.snapshot.pseudonymise != "off")
    screen.begin(plan)
    rows: list[dict[str, Any]] = []
    overall = None
    prepare_state(plan.place.state)
    with ExitStack() as stack:
        stack.enter_context(replay_plan.away_from_the_live())
        lock = stack.enter_context(exclusive(run_lock(plan.place.state), "this replay"))
        ready = None
        for number, night in enumerate(plan.nights, 1):
            row = replay_night.kept(plan, night)
            if row is None:
                with screen.busy(f"night {number} of {len(plan.nights)}") as progress:
                    # One server for all nights, started only if there is a night left to run.
                    ready = ready or stack.enter_context(run_server.api(plan.place, PATIENCE_S))
                    ready()
                    row = replay_night.play(plan, log, night, rows, lock, progress)
            rows.append(row)
            screen.night(row, number)
            overall = result_files.write(plan, rows)
    screen.end(plan, rows, overall)
    return {"folder": str(plan.folder), "nights": rows, "overall": result_files.as_json(overall)}
