"""Commands that maintain a store: gc and share."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (gc, share):
        app.command(rich_help_panel=VERSIONS)(command)


def gc(
    versions: Annotated[
        int | None,
        typer.Option("--versions", metavar="N", min=0, help="Keep the newest N versions. Default: params.yaml."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="DAYS", min=0, help="Keep versions younger than this. Default: params.yaml."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")] = False,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Remove old versions; what is live, is a rollback target or was live until publish.grace_hours ago stays."""
    from nightreel.settings.params_file import of_checkout
    from nightreel.store import retention
    from nightreel.store.open import open_store

    store, given = open_store(at), of_checkout().publish
    keep = retention.Keep(
        given.keep_versions if versions is None else versions,
        given.keep_days if days is None else days,
        given.grace_hours,
    )
    planned = retention.plan(store, keep)
    removed = sorted(planned.keys) if dry_run else retention.collect(store, planned, keep)
    if as_json:
        facts = {"removed": removed, "bytes": planned.size, "kept": dict(planned.kept), "dry_run": dry_run}
        return typer.echo(json.dumps({"store": store.uri, **facts}, indent=1))
    for digest, why in planned.kept.items():
        typer.echo(f"kept     {digest[:12]}  {why}")
    for digest in removed:
        typer.echo(f"{'would remove' if dry_run else 'removed '} {digest[:12]}")
    verb = "would be removed from" if dry_run else "removed from"
    return typer.echo(f"{len(removed)} versions {verb} {store.uri}, {planned.size / 1e6:.1f} MB")


def share(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel other than live, e.g. canary.")],
    part: Annotated[float, typer.Argument(metavar="SHARE", min=0.0, max=1.0, help="The share of all users, 0 to 1.")],
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Let a channel serve a share of all users, chosen by a stable hash; channel live serves the others."""
    from nightreel.store import channels
    from nightreel.store.open import open_store

    pointer = channels.set_share(open_store(at), channel, part)
    if as_json:
        return typer.echo(json.dumps({"channel": channel, "share": part, "version": pointer.digest}))
    return typer.echo(f"channel {channel}: {pointer.digest[:12]} serves {part:.1%} of users")
