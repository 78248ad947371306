"""`nightreel renew`: correct the item metadata or the rules of a published version, without training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At, Channel


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=VERSIONS)(renew)


def renew(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Tables of items; only the rows that change are needed."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="A complete table of rules that replaces the live one."),
    ] = None,
    withdrawn: Annotated[
        Path | None,
        typer.Option("--withdrawn", metavar="FILE", help="Restore the withdrawn items and users that it lists."),
    ] = None,
    allow_unmatched: Annotated[
        bool, typer.Option("--allow-unmatched", help="Accept rules and blocked items that match no item.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; publish nothing.")] = False,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Correct titles, genres, blocked, expires_at and other fields of published items, or the rules, without a run.

    Only the columns in FILE are replaced. The models see changed texts and new items after the next run. A table of
    rules with a header and no rows removes all rules. Rights (blocked, published_at, expires_at) and rules apply to
    every version that is served, until the source changes them. Any other change is published as a new version, which
    can be rolled back. A rule, or a blocked item, that matches no item is an error unless --allow-unmatched is given:
    most likely it is misspelt, and what it means to hide would be shown. --withdrawn undoes `nightreel withdraw`.
    """
    from nightreel.errors import UserError

    if not files and rules is None and withdrawn is None:
        raise UserError("Nothing to renew. Give tables of items, --rules FILE or --withdrawn FILE.")
    facts = _renewed(at, channel, Corrections(tuple(files or ()), rules, withdrawn, allow_unmatched, dry_run))
    if as_json:
        return typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    return _print(facts)


@dataclass(frozen=True)
class Corrections:
    """The command's arguments."""

    files: tuple[Path, ...]
    rules: Path | None
    withdrawn: Path | None
    allow_unmatched: bool
    dry_run: bool


def _renewed(at: str | None, channel: str, wanted: Corrections) -> dict[str, Any]:
    """Apply the changes and return what changed: first rights and rules, which need no new version, then the rest."""
    from nightreel.cli.versions import withdrawn_ids
    from nightreel.orchestration import renewal, renewed_rights
    from nightreel.store import channels
    from nightreel.store.local_cache import fetch
    from nightreel.store.open import open_store

    store, dry_run = open_store(at), wanted.dry_run
    digest = channels.resolve(store, channel, None)
    facts: dict[str, Any] = {"store": store.uri, "channel": channel, "renewed": digest, "version": digest}
    tables = [renewal.read_items(path) for path in wanted.files]
    amended = renewal.amend(fetch(store, digest), tables) if tables else None
    facts |= {"changed": amended.changed if amended else 0, "new": amended.new if amended else 0, "sent": 0}
    rules = renewal.read_rules(wanted.rules) if wanted.rules is not None else None
    rights = renewed_rights.RequestedRights(renewed_rights.rights_in(tables), rules, wanted.allow_unmatched)
    facts |= renewed_rights.put_right(store, channel, rights, dry_run=dry_run)
    if wanted.withdrawn is not None:
        given = withdrawn_ids.named(wanted.withdrawn, None, None)
        facts["withdrawn"] = withdrawn_ids.give_back(store, channel, given, dry_run=dry_run)
    if amended is not None and amended.changed:
        done = renewal.publish_amended(store, channel, digest, amended, dry_run=dry_run)
        facts |= {"version": done.digest, "sent": done.sent}
    return facts | {"dry_run": dry_run}


def _print(facts: dict[str, Any]) -> None:
    if facts["new"]:
        typer.echo(
            f"{facts['new']:,} items are not in version {facts['renewed'][:12]} and were ignored; the next run adds "
            "them"
        )
    if facts["warning"]:
        typer.echo(f"warning: {facts['warning']}")
    restored = [channel for channel in facts.get("withdrawn", ()) if channel["changed"]]
    changes = [f"{facts['changed']:,} items changed"] if facts["changed"] else []
    changes += [f"{facts['rights']:,} items with changed rights"] if facts["rights"] else []
    changes += [f"{facts['given_back']:,} withdrawn items restored"] if facts["given_back"] else []
    changes += [f"{channel['items']:,} items and {channel['users']:,} users restored" for channel in restored]
    changes += [f"{facts['rules']:,} rules replace the published ones"] if facts["rules"] is not None else []
    if not changes:
        return typer.echo(f"nothing changed: channel {facts['channel']} stays at {facts['renewed'][:12]}")
    verb = "would be" if facts["dry_run"] else "is"
    return typer.echo(
        f"{', '.join(changes)}: {facts['version'][:12]} {verb} on channel {facts['channel']} of {facts['store']}, "
        f"{facts['sent'] / 1e6:.1f} MB uploaded"
    )
