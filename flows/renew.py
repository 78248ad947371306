"""`nightreel renew`: other metadata for the items of a published version, or other rules, the models as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.reading_options import AsJson, At, Channel


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(renew)


def renew(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Items of the contract; only rows that change are needed."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="The whole table of rules, in place of what is live."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, publish nothing.")] = False,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Correct titles, genres, blocked, expires_at and the like of published items, or the rules, now, without a night.

    Cells of the columns that a FILE has replace the published ones; all else stays. What a changed text means to the
    models, and new items, come with the next night. A table of rules that holds its header alone takes all rules away.
    The result is a version of its own: roll back as from any other.
    """
    from flows import renewal
    from tasks.data.business_rules import unmet
    from tasks.index import channels
    from tasks.index.cache import fetch
    from tasks.index.stores import open_store
    from tasks.stage import UserError

    if not files and rules is None:
        raise UserError("Nothing to renew: name files of items, or give --rules FILE.")
    store = open_store(at)
    digest = channels.resolve(store, channel, None)
    amended = renewal.amend(fetch(store, digest), [renewal.read_items(path) for path in files or ()])
    amended = renewal.with_rules(amended, rules) if rules else amended
    held = None if amended.rules is None else amended.rules.num_rows
    facts = {"store": store.uri, "channel": channel, "renewed": digest, "changed": amended.changed, "new": amended.new}
    differs = amended.changed or held is not None
    done = renewal.publish_amended(store, channel, digest, amended, dry_run=dry_run) if differs else None
    facts |= {"rules": held, "warning": None if held is None else unmet(amended.rules, amended.items)}
    facts |= {"version": done.digest if done else digest, "sent": done.sent if done else 0, "dry_run": dry_run}
    if as_json:
        return typer.echo(json.dumps(facts, indent=1))
    return _tell(facts)


def _tell(facts: dict[str, Any]) -> None:
    if facts["new"]:
        typer.echo(f"{facts['new']:,} items are not in version {facts['renewed'][:12]}: they come with the next night")
    if facts["warning"]:
        typer.echo(f"warning: {facts['warning']}")
    if facts["version"] == facts["renewed"]:
        return typer.echo(f"nothing changed: channel {facts['channel']} stays at {facts['renewed'][:12]}")
    changes = [f"{facts['changed']:,} items changed"] if facts["changed"] else []
    changes += [f"{facts['rules']:,} rules in place of the published ones"] if facts["rules"] is not None else []
    told = "would be" if facts["dry_run"] else "is"
    return typer.echo(
        f"{', '.join(changes)}: {facts['version'][:12]} {told} on channel {facts['channel']} of {facts['store']}, "
        f"{facts['sent'] / 1e6:.1f} MB sent"
    )
