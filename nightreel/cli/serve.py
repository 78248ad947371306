"""The command that answers over HTTP: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightreel.cli.options import At, Channel
from nightreel.errors import UserError
from nightreel.stage import state_directory


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with NIGHTREEL_TOKEN.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    at: At = None,
    channel: Channel = "live",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; they share the version's files.")] = 1,
    refresh: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the channel.")] = 15.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for an answer.")] = 5.0,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Answers computed at once, in each process.")] = 2,
    feedback: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where feedback is kept. [feedback in the state directory]")
    ] = None,
    slates: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Log served lists there, as impressions. [not logged]")
    ] = None,
) -> None:
    """Answer over HTTP, with an explorer page at /; follows the channel, ends on Ctrl-C."""
    try:
        from nightreel.service.options import Options
        from nightreel.service.run import serve as go
    except ModuleNotFoundError as error:
        raise UserError(f"serve needs {error.name}: pip install 'nightreel[service]'") from None

    folder = feedback or state_directory() / "feedback"
    options = Options(
        store=at,
        channel=channel,
        refresh_s=refresh,
        threads=threads,
        queue=50 * threads,
        timeout_s=timeout,
        body=1_000_000,
        cached=20_000,
        feedback=str(folder),
        slates=str(slates) if slates else None,
    )
    typer.secho(f"http://{host}:{port}  (explorer; /openapi.json says what can be asked)", err=True)
    go(options, host, port, workers)
