"""Commands that query a published version about items: similar, explain, search."""

from __future__ import annotations

from typing import Annotated

import typer

from nightreel.cli import tables
from nightreel.cli.help_groups import ASK
from nightreel.cli.options import AsJson, At, AudienceAge, Channel, History, K, User, Version
from nightreel.cli.output import print_json, print_lists, print_table, row_of


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (similar, explain, search):
        app.command(rich_help_panel=ASK)(command)


def similar(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, or its exact title.")],
    k: K = 10,
    audience_age: AudienceAge = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """List the items whose content is most similar to an item's."""
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    near = reader.similar(item, k, audience_age=audience_age)
    found = [row_of(reader, each.item_id, rank, each.score) for rank, each in enumerate(near, 1)]
    if as_json:
        return print_json({"version": reader.digest, "similar": found})
    return print_lists(reader, {f"Similar to {reader.items.titles[reader.items.require(item)]}": found})


def explain(
    user: User,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, or its exact title.")],
    history: History = None,
    audience_age: AudienceAge = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Explain why an item is, or is not, recommended to a user, and how far it falls without items they liked."""
    from dataclasses import asdict

    from nightreel.reader.options import RequestOptions
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    past = tables.read_column(history, "item_id") if history else None
    options = RequestOptions(audience_age=audience_age)
    result = reader.explain(item, None if history else user, history=past, options=options)
    if as_json:
        return print_json({"version": reader.digest, "user": None if history else user, **asdict(result)})
    rank = f"rank {result.rank:,} of the list" if result.rank else "not in the list"
    excluded = f", excluded: {result.left_out}" if result.left_out else ""
    typer.echo(f"{result.title or result.item_id}: {rank}{excluded}")
    for reason in result.reasons:
        typer.echo(f"  {reason.text}" + (f"  ({reason.share:.0%} of the votes)" if reason.share else ""))
    if result.evidence:
        rows = [
            [event.title, f"{event.drop:+.4f}", str(event.rank) if event.rank else "none"] for event in result.evidence
        ]
        print_table("Leave-one-out evidence", ["without this item", "score drop", "new rank"], rows)
    return None


def search(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words from titles, people, tags, genres or descriptions.")
    ],
    k: K = 10,
    audience_age: AudienceAge = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Search items by words; typing errors in titles are tolerated."""
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    matches = reader.search(text, k, audience_age=audience_age)
    found = [row_of(reader, each.item_id, rank, each.score) for rank, each in enumerate(matches, 1)]
    if as_json:
        return print_json({"version": reader.digest, "found": found})
    if not found:
        return typer.echo("no results: try fewer or other words")
    return print_lists(reader, {f"Results for {text}": found})
