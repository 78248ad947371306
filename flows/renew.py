"""`nightreel renew`: other metadata for the items of a published version, the models as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.reading_options import AsJson, At, Channel


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(renew)


def renew(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Items of the contract; only rows that change are needed.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, publish nothing.")] = False,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Correct titles, genres, blocked, expires_at and the like of published items now, without a night.

    Cells of the columns that a FILE has replace the published ones; all else stays. What a changed text means to the
    models, and new items, come with the next night. The result is a version of its own: roll back as from any other.
    """
    from flows import renewal
    from tasks.index import channels
    from tasks.index.cache import fetch
    from tasks.index.stores import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, None)
    amended = renewal.amend(fetch(store, digest), [renewal.read_items(path) for path in files])
    facts = {"store": store.uri, "channel": channel, "renewed": digest, "changed": amended.changed, "new": amended.new}
    done = renewal.publish_amended(store, channel, digest, amended, dry_run=dry_run) if amended.changed else None
    facts |= {"version": done.digest if done else digest, "sent": done.sent if done else 0, "dry_run": dry_run}
    if as_json:
        return typer.echo(json.dumps(facts, indent=1))
    if amended.new:
        typer.echo(f"{amended.new:,} items are not in version {digest[:12]}: they come with the next night")
    if done is None:
        return typer.echo(f"nothing changed: channel {channel} stays at {digest[:12]}")
    told = "would be" if dry_run else "is"
    return typer.echo(
        f"{amended.changed:,} items changed: {done.digest[:12]} {told} on channel {channel} of {store.uri}, "
        f"{done.sent / 1e6:.1f} MB sent"
    )
