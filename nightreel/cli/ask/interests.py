"""The command that tells a user's interests, and the events that each came from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from nightreel.cli import tables
from nightreel.cli.options import AsJson, At, Channel, History, K, User, Version
from nightreel.cli.versions.releases import print_json


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(interests)


def interests(
    user: User,
    history: History = None,
    k: K = 10,
    half_life: Annotated[
        float, typer.Option("--half-life", min=0.01, help="Days after which an event counts half.")
    ] = 30.0,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """What a user is interested in, by keywords of what they took to and by their searches; newer events count more."""
    from dataclasses import asdict

    from nightreel.reader.interests import interests as of
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    past = tables.read_column(history, "item_id") if history else None
    found = of(reader, None if history else user, history=past, k=k, half_life=half_life)
    if as_json:
        return print_json({"version": reader.digest, "interests": [asdict(each) for each in found]})
    if not found:
        return typer.echo("nothing is known: no event of this user has an item with keywords, and there is no search")
    rows = [
        [
            each.word,
            f"{each.weight:.1%}",
            str(each.events),
            "; ".join(_told(o.item_id, o.text, o.time, reader.clock.ordered) for o in each.origins[:3]),
        ]
        for each in found
    ]
    return tables.print_table("Interests", ["keyword", "weight", "events", "from"], rows)


def _told(item: str, text: str, time: float, ordered: bool) -> str:
    when = f"#{time:g}" if ordered else f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}"
    return f"{text} ({when})" if item else f"search “{text}” ({when})"
