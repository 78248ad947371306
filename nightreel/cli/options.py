"""Arguments and options shared by the commands that read published versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

At = Annotated[
    str | None, typer.Option("--store", metavar="URI", help="Store: a folder or s3://bucket/prefix. [NIGHTREEL_STORE]")
]
Channel = Annotated[str, typer.Option("--channel", help="The channel whose version is used.")]
Version = Annotated[
    str | None, typer.Option("--version", metavar="V", help="Use this version instead of the channel's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
K = Annotated[int, typer.Option("-k", min=1, max=1000, help="Number of results in a list.")]
LiveOr = Annotated[str | None, typer.Argument(metavar="[V]", help="A version. Default: the channel's.")]
Moment = Annotated[
    str | None,
    typer.Option(
        "--moment",
        metavar="WHEN",
        help="The time to recommend for: ISO 8601, epoch seconds (an event number if the data have no timestamps), or "
        "last-event (the time of each user's last event, as in the evaluation). Default: just after the version's last "
        "event.",
    ),
]
User = Annotated[str, typer.Argument(metavar="USER", help="A user's id, or - with --history.")]
History = Annotated[
    Path | None,
    typer.Option("--history", metavar="FILE", help="A history instead of a user: item ids, oldest first."),
]
AudienceAge = Annotated[
    int | None,
    typer.Option("--audience-age", metavar="YEARS", min=0, help="Only items suitable for viewers of this age."),
]
Named = Annotated[str, typer.Argument(metavar="V", help="A version, or its first characters.")]
