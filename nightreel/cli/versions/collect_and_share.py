"""Commands that maintain a store: gc and share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At
from nightreel.cli.output import print_json

if TYPE_CHECKING:
    from nightreel.orchestration.project import Project


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
    """Remove old versions; what is live, is a rollback target or was live until publish.grace_hours ago stays.

    In a checkout, the nights beyond the same retention go, too: their commits on the branch nightreel/nights, and what
    DVC's cache holds of them alone. The nights that made a kept version stay, so that it can be made again.
    """
    from nightreel.orchestration.garbage import collect, retention_of
    from nightreel.store.open import open_store

    keep = retention_of(versions, days)
    with _nights_alone(at) as home:
        collected = collect(home, open_store(at), keep, dry_run=dry_run)
    if as_json:
        return print_json(collected.as_json())
    return typer.echo("\n".join(collected.lines()))


@contextmanager
def _nights_alone(at: str | None) -> Iterator[Project | None]:
    """The checkout here, while no night runs in it; None if there is none, or another store is collected."""
    from nightreel import checkout

    if at is not None or checkout.find(Path.cwd().resolve()) is None:
        yield None
        return
    from nightreel.orchestration import project
    from nightreel.orchestration.lock import exclusive
    from nightreel.stage import prepare_state
    from nightreel.store.fence import run_lock

    home = project.find()
    prepare_state(home.state)
    with exclusive(run_lock(home.state), "a run"):
        yield home


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
