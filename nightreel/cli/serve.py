"""`nightreel serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightreel.cli.help_groups import SERVE
from nightreel.cli.options import At, Channel
from nightreel.errors import missing_extra
from nightreel.stage import state_directory

Host = Annotated[
    str, typer.Option(help="Address to listen on; one that other machines can reach needs NIGHTREEL_TOKEN.")
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[
    int, typer.Option(min=1, max=64, help="Number of processes; they share the version's files in memory.")
]
Refresh = Annotated[float, typer.Option(min=0.1, help="Polling interval for new versions, in seconds.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Time limit of a response, in seconds.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="Responses that each process computes at the same time.")]
FeedbackFolder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where feedback is stored. Default: feedback in the state directory."),
]
SlatesFolder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Log served lists here, as impressions. Default: they are not logged."),
]
Queue = Annotated[
    int | None,
    typer.Option(min=0, help="Requests that may wait in each process; more get 503. Default: 50 per thread."),
]
Cache = Annotated[
    int, typer.Option(metavar="MB", min=0, help="Memory for kept answers in each process, twice (GET and POST).")
]
RecentFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Database of feedback that counts at once. Default: in the state directory."),
]
Retention = Annotated[
    float, typer.Option(metavar="DAYS", min=0, help="Days that feedback counts; 0: from the next night on only.")
]
LogFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Append a JSON line for each request, without ids of persons; - for standard output."
    ),
]
Connections = Annotated[int, typer.Option(min=1, help="Open connections of each process; more get 503.")]
HeaderTimeout = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0.1, help="Time for a request's head and for each part of its body."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=SERVE)(serve)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    at: At = None,
    channel: Channel = "live",
    workers: Workers = 1,
    refresh: Refresh = 15.0,
    timeout: Timeout = 5.0,
    threads: Threads = 2,
    feedback: FeedbackFolder = None,
    queue: Queue = None,
    cache: Cache = 64,
    recent: RecentFile = None,
    retention: Retention = 30.0,
    access_log: LogFile = None,
    connections: Connections = 1000,
    header_timeout: HeaderTimeout = 10.0,
    slates: SlatesFolder = None,
) -> None:
    """Serve a channel's version over HTTP, with an explorer page at /; new versions are picked up by themselves."""
    try:
        import fastapi
        import prometheus_client
        import uvicorn

        from nightreel.service.options import Options
        from nightreel.service.run import serve as go
    except ModuleNotFoundError as error:
        raise missing_extra(error, "nightreel serve") from None
    del fastapi, prometheus_client, uvicorn  # only to find out before an address is told

    folder = feedback or state_directory() / "feedback"
    options = Options(
        store=at,
        channel=channel,
        refresh_s=refresh,
        threads=threads,
        queue=50 * threads if queue is None else queue,
        timeout_s=timeout,
        body=4_000_000,
        cached=cache * 1_000_000,
        feedback=str(folder),
        slates=str(slates) if slates else None,
        recent=str(recent or state_directory() / "recent-events" / "recent.sqlite") if retention else None,
        retention_days=retention,
        access_log=access_log,
        connections=connections,
        header_s=header_timeout,
    )
    typer.secho(f"http://{host}:{port}  (explorer; the API is described at /openapi.json)", err=True)
    go(options, host, port, workers)
