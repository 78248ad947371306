"""`nightreel interests`: a user's interests as weighted keywords, with the events behind each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from nightreel.cli import tables
from nightreel.cli.help_groups import ASK
from nightreel.cli.options import AsJson, At, Channel, History, K, User, Version
from nightreel.cli.output import print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=ASK)(interests)


def interests(
    user: User,
    history: History = None,
    k: K = 10,
    half_life: Annotated[
        float, typer.Option("--half-life", min=0.01, help="Days after which an event counts half as much.")
    ] = 30.0,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Show a user's interests: keywords of the items they liked and of their searches; newer events count more."""
    from dataclasses import asdict

    from nightreel.reader.interests import interests as of
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    past = tables.read_column(history, "item_id") if history else None
    results = of(reader, None if history else user, history=past, k=k, half_life=half_life)
    if as_json:
        return print_json({"version": reader.digest, "interests": [asdict(interest) for interest in results]})
    if not results:
        return typer.echo("no interests found: this user has no event with an item that has keywords, and no search")
    rows = [
        [
            interest.word,
            f"{interest.weight:.1%}",
            str(interest.events),
            "; ".join(_origin(o.item_id, o.text, o.time, reader.clock.ordered) for o in interest.origins[:3]),
        ]
        for interest in results
    ]
    return print_table("Interests", ["keyword", "weight", "events", "from"], rows)


def _origin(item: str, text: str, time: float, ordered: bool) -> str:
    when = f"#{time:g}" if ordered else f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}"
    return f"{text} ({when})" if item else f"search “{text}” ({when})"
