"""`nightreel replay`: prequential evaluation. Runs a log's nights in order, each scored on the step that follows it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nightreel.cli.help_groups import RUN
from nightreel.cli.options import AsJson

PREFECT = "PREFECT_API_URL"
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
    first_recipe: Annotated[
        bool,
        typer.Option(
            "--first-recipe",
            help="Also train the first version's choices every night, and judge them. Costs about a refit a night.",
        ),
    ] = False,
    held_candidates: Annotated[
        bool,
        typer.Option(
            "--held-candidates",
            help="Also train and judge candidates that were held or rejected. Costs about a refit on such a night.",
        ),
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

    Was it right to promote, and right to hold? A version that replaced another one is compared with it on the step
    after. With --first-recipe, the hyper-parameters and the ranker of the first published version are trained on every
    night's log, too, so that a chain of promotions that each lost a little is seen. With --held-candidates, a night
    that was held or rejected also trains its candidate, as a promotion would have. Neither is published; on a night
    whose own choices are the first's, nothing more is trained.

    With --script, things go wrong as the file says: a takedown, a corrupt day, a killed stage and more. Each night is
    then compared with what the script expects of it, and what was silent or lost is counted.

    If the replay is stopped, the same command continues with the next unfinished night. A failed night becomes a row
    with its error; the replay continues, and exits with code 1. With a script, the exit code is 1 if a night was not as
    expected, or anything was silent or lost.
    """
    from nightreel.cli.replay_view import ReplayView
    from nightreel.orchestration.prefect import run_server
    from nightreel.replay import series
    from nightreel.replay.plan import ReplayOptions, without_variables

    given = ReplayOptions(
        source, nights, step, first, state, changes or (), script, publish, into_live, first_recipe, held_candidates
    )
    try:
        with without_variables(PREFECT):  # a replay in a terminal has a server of its own
            done = series.run(given, ReplayView(as_json=as_json), lambda place: run_server.api(place, PATIENCE_S))
    except KeyboardInterrupt:
        typer.secho("stopped: finished nights are kept; the same command continues from there", fg="yellow", err=True)
        raise
    if as_json:
        sys.stdout.write(json.dumps(done.as_json(), indent=1, ensure_ascii=False) + "\n")
    if done.wrong:
        raise typer.Exit(1)
