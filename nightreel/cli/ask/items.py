"""The commands that ask the published bundle about items: explain, search."""

from __future__ import annotations

from typing import Annotated

import typer

from nightreel.cli import tables
from nightreel.cli.options import AsJson, At, Channel, History, K, User, Version
from nightreel.cli.versions.releases import print_json, print_lists, row_of


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (explain, search):
        app.command()(command)


def explain(
    user: User,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, or its exact title.")],
    history: History = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Why an item is, or is not, recommended to a user; and what its score is without the evidence."""
    from dataclasses import asdict

    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    past = tables.read_column(history, "item_id") if history else None
    found = reader.explain(item, None if history else user, history=past)
    if as_json:
        return print_json({"version": reader.digest, "user": None if history else user, **asdict(found)})
    place = f"place {found.rank} of the candidates" if found.rank else "not among the candidates"
    typer.echo(f"{found.title or found.item_id}: {place}" + (f", left out: {found.left_out}" if found.left_out else ""))
    for reason in found.reasons:
        typer.echo(f"  {reason.text}" + (f"  ({reason.share:.0%} of the votes)" if reason.share else ""))
    if found.evidence:
        rows = [[each.title, f"{each.drop:+.4f}", str(each.rank) if each.rank else "none"] for each in found.evidence]
        tables.print_table("Asked again without", ["item", "score lost", "place then"], rows)
    return None


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words of titles, people, tags, genres, descriptions.")],
    k: K = 10,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Items whose words fit a text; typing errors in titles are forgiven."""
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    found = [row_of(reader, each.item_id, rank, each.score) for rank, each in enumerate(reader.search(text, k), 1)]
    if as_json:
        return print_json({"version": reader.digest, "found": found})
    if not found:
        return typer.echo("nothing found: try fewer or other words")
    return print_lists(reader, {f"Found for {text}": found})
