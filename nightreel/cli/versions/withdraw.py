"""`nightreel withdraw`: hide items or erase users in what is live, within seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At
from nightreel.errors import UserError, listed

File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A .csv or .parquet with item_id, or user_id, or both.")
]
Items = Annotated[
    Path | None, typer.Option("--items", metavar="FILE", help="Items: a .csv or .parquet, or one id per line.")
]
Users = Annotated[
    Path | None, typer.Option("--users", metavar="FILE", help="Users: a .csv or .parquet, or one id per line.")
]
OneChannel = Annotated[
    str | None, typer.Option("--channel", help="Change this channel only. Default: all channels of the store.")
]
AllowUnmatched = Annotated[
    bool, typer.Option("--allow-unmatched", help="Withdraw ids that match nothing, too, for later versions.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=VERSIONS)(withdraw)


def withdraw(
    file: File = None,
    items: Items = None,
    users: Users = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Replace a withdrawals file that can no longer be read.")
    ] = False,
    allow_unmatched: AllowUnmatched = False,
    dry_run: DryRun = False,
    at: At = None,
    channel: OneChannel = None,
    as_json: AsJson = False,
) -> None:
    """Hide items and erase users from now on. No run is needed, and no later run brings them back.

    Running services follow within their polling interval (--refresh). An id that matches no item or user is most likely
    misspelt, so it is an error, while the others are withdrawn; with --allow-unmatched it is withdrawn, too, in case a
    later version has it. `nightreel renew --withdrawn FILE` undoes a withdrawal.
    """
    from nightreel.cli.versions import withdrawn_ids
    from nightreel.store.open import open_store

    store, named = open_store(at), withdrawn_ids.named(file, items, users)
    unmatched = withdrawn_ids.Named((), ()) if allow_unmatched else withdrawn_ids.unmatched(store, channel, named)
    known = named.without(unmatched)
    if known:
        tell(withdrawn_ids.withdraw(store, channel, known, anew=anew, dry_run=dry_run), "withdrawn", dry_run, as_json)
    if unmatched:
        ids = (*unmatched.items, *unmatched.users)
        raise UserError(
            f"{len(ids):,} of the given ids match no item or user, so they were not withdrawn: {listed(ids)}. Correct "
            "them, or withdraw them for later versions with --allow-unmatched."
        )


def tell(done: list[dict[str, Any]], what: str, dry_run: bool, as_json: bool) -> None:
    """Print the result in each channel, as text or JSON. what: the participle, `withdrawn`."""
    if as_json:
        return typer.echo(json.dumps({"channels": done, "dry_run": dry_run}, indent=1, ensure_ascii=False))
    for each in done:
        for kind in ("items", "users"):
            unknown = each["unknown"][kind]
            if unknown:
                typer.echo(
                    f"warning: {len(unknown):,} of these {kind} are not in version {each['version'][:12]} "
                    f"({listed(unknown)}). Check the ids; they stay withdrawn for later versions.",
                    err=True,
                )
        typer.echo(in_words(each, what, dry_run))
    return None


def in_words(done: dict[str, Any], what: str, dry_run: bool = False) -> str:
    """The result in a channel, as a line. what: the participle, `withdrawn`."""
    counts = f"{done['items']:,} items, {done['users']:,} users"
    verb = f"would be {what}" if dry_run else what
    since = "" if done["changed"] else " (already so: nothing changed)"
    return f"channel {done['channel']}, version {done['version'][:12]}: {counts} {verb}{since}"
