"""`nightreel renew`: other metadata for the items of a published version, or other rules, the models as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nightreel.cli.options import AsJson, At, Channel


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
    withdrawn: Annotated[
        Path | None,
        typer.Option("--withdrawn", metavar="FILE", help="Give back the item_id and user_id that it names."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, publish nothing.")] = False,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Correct titles, genres, blocked, expires_at and the like of published items, or the rules, now, without a night.

    Cells of the columns that a FILE has replace the published ones; all else stays. What a changed text means to the
    models, and new items, come with the next night. A table of rules that holds its header alone takes all rules away.
    Rights (blocked, published_at, expires_at) and rules hold for whatever version is served, until the source says
    something new of them; anything else makes a version of its own: roll back as from any other. --withdrawn undoes
    `nightreel withdraw`.
    """
    from nightreel.errors import UserError

    if not files and rules is None and withdrawn is None:
        raise UserError("Nothing to renew: name files of items, or give --rules FILE or --withdrawn FILE.")
    facts = _renewed(at, channel, files or (), rules, withdrawn, dry_run)
    if as_json:
        return typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    return _tell(facts)


def _renewed(
    at: str | None, channel: str, files: Sequence[Path], rules: Path | None, withdrawn: Path | None, dry_run: bool
) -> dict[str, Any]:
    """What changed: rights and rules beside the version first, which takes a moment, then a version of its own."""
    from nightreel.cli.versions import withdrawn_ids
    from nightreel.orchestration import renewal, renewed_rights
    from nightreel.store import channels
    from nightreel.store.local_cache import fetch
    from nightreel.store.open import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, None)
    facts: dict[str, Any] = {"store": store.uri, "channel": channel, "renewed": digest, "version": digest}
    tables = [renewal.read_items(path) for path in files]
    amended = renewal.amend(fetch(store, digest), tables) if tables else None
    facts |= {"changed": amended.changed if amended else 0, "new": amended.new if amended else 0, "sent": 0}
    wanted = renewed_rights.RequestedRights(
        renewed_rights.rights_in(tables), renewal.read_rules(rules) if rules is not None else None
    )
    facts |= renewed_rights.put_right(store, channel, wanted, dry_run=dry_run)
    if withdrawn is not None:
        given = withdrawn_ids.named(withdrawn, None, None)
        facts["withdrawn"] = withdrawn_ids.give_back(store, channel, given, dry_run=dry_run)
    if amended is not None and amended.changed:
        done = renewal.publish_amended(store, channel, digest, amended, dry_run=dry_run)
        facts |= {"version": done.digest, "sent": done.sent}
    return facts | {"dry_run": dry_run}


def _tell(facts: dict[str, Any]) -> None:
    if facts["new"]:
        typer.echo(f"{facts['new']:,} items are not in version {facts['renewed'][:12]}: they come with the next night")
    if facts["warning"]:
        typer.echo(f"warning: {facts['warning']}")
    back = [each for each in facts.get("withdrawn", ()) if each["changed"]]
    changes = [f"{facts['changed']:,} items changed"] if facts["changed"] else []
    changes += [f"{facts['rights']:,} items with other rights"] if facts["rights"] else []
    changes += [f"{facts['given_back']:,} withdrawn items given back"] if facts["given_back"] else []
    changes += [f"{each['items']:,} items and {each['users']:,} users given back" for each in back]
    changes += [f"{facts['rules']:,} rules in place of the published ones"] if facts["rules"] is not None else []
    if not changes:
        return typer.echo(f"nothing changed: channel {facts['channel']} stays at {facts['renewed'][:12]}")
    told = "would be" if facts["dry_run"] else "is"
    return typer.echo(
        f"{', '.join(changes)}: {facts['version'][:12]} {told} on channel {facts['channel']} of {facts['store']}, "
        f"{facts['sent'] / 1e6:.1f} MB sent"
    )
