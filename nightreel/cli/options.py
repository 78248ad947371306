"""Arguments and options that the commands on what is published share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

At = Annotated[
    str | None, typer.Option("--store", metavar="URI", help="Store: a folder or s3://bucket/prefix. [NIGHTREEL_STORE]")
]
Channel = Annotated[str, typer.Option("--channel", help="Which channel's version.")]
Version = Annotated[str | None, typer.Option("--version", metavar="V", help="A version instead of a channel's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
K = Annotated[int, typer.Option("-k", min=1, max=1000, help="Items in a list.")]
LiveOr = Annotated[str | None, typer.Argument(metavar="[V]", help="A version; default: the live one.")]
Moment = Annotated[
    str | None,
    typer.Option(
        "--moment",
        metavar="WHEN",
        help="As of last-event (just when a user last did something, as an "
        "evaluation asks) or a time: ISO 8601 or epoch seconds (else a position). Default: tonight.",
    ),
]
User = Annotated[str, typer.Argument(metavar="USER", help="A user's id; - with --history.")]
History = Annotated[
    Path | None, typer.Option("--history", metavar="FILE", help="In a user's place: items, oldest first.")
]
Named = Annotated[str, typer.Argument(metavar="V", help="A version, by its first characters.")]
