"""`nightreel withdraw`: take items down, or forget users, on every door of what is live, within seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.options import AsJson, At

File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A .csv or .parquet with item_id, or user_id, or both.")
]
Items = Annotated[Path | None, typer.Option("--items", metavar="FILE", help="Items: the same, or an id a line.")]
Users = Annotated[Path | None, typer.Option("--users", metavar="FILE", help="Users: the same, or an id a line.")]
OneChannel = Annotated[str | None, typer.Option("--channel", help="This channel alone. Default: all of the store.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell, change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(withdraw)


def withdraw(
    file: File = None,
    items: Items = None,
    users: Users = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="In place of a withdrawals file that can't be read any more.")
    ] = False,
    dry_run: DryRun = False,
    at: At = None,
    channel: OneChannel = None,
    as_json: AsJson = False,
) -> None:
    """Show items no more, and know users no more, from now on: no night is needed, and none brings them back.

    Running services follow within their --refresh. Ids that the version does not know are withdrawn too: they may come
    with a later night. `nightreel renew --withdrawn FILE` gives back.
    """
    from nightreel.cli.versions import withdrawn_ids
    from nightreel.store.open import open_store

    named = withdrawn_ids.named(file, items, users)
    done = withdrawn_ids.withdraw(open_store(at), channel, named, anew=anew, dry_run=dry_run)
    tell(done, "withdrawn", dry_run, as_json)


def tell(done: list[dict[str, Any]], what: str, dry_run: bool, as_json: bool) -> None:
    """What came of it in each channel, for people or programs. what: withdrawn, or given back."""
    if as_json:
        return typer.echo(json.dumps({"channels": done, "dry_run": dry_run}, indent=1, ensure_ascii=False))
    for each in done:
        for kind in ("items", "users"):
            unknown = each["unknown"][kind]
            if unknown:
                more = ", …" if len(unknown) > 5 else ""
                typer.echo(
                    f"warning: {len(unknown):,} of these {kind} are not in version {each['version'][:12]} "
                    f"({', '.join(unknown[:5])}{more}): compare the ids, or leave them for a version that has them.",
                    err=True,
                )
        counts = f"{each['items']:,} items, {each['users']:,} users"
        verb = f"would be {what}" if dry_run else what
        since = "" if each["changed"] else " (they were already: nothing changed)"
        typer.echo(f"channel {each['channel']}, version {each['version'][:12]}: {counts} {verb}{since}")
    return None
