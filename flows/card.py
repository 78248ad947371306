"""`nightreel card`: the model card of a published version, as it stands in its bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

import typer

from flows.reading import AsJson, At, Channel
from tasks.stage import UserError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(card)


def card(
    version: Annotated[str | None, typer.Argument(metavar="[V]", help="A version; default: the live one.")] = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """What a version is for, what it was made from, how good it is for whom, and its limits."""
    from tasks.index import channels
    from tasks.index.bundle import MANIFEST, BundleError, parse_manifest
    from tasks.index.stores import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, version)
    root, name = f"versions/{digest}/", "card.json" if as_json else "card.md"
    listed = parse_manifest(store.get(root + MANIFEST), f"{store.uri}/{root}{MANIFEST}").files.get(name)
    if listed is None:
        raise UserError(f"version {digest[:12]} has no model card: it was published before there were any.")
    content = store.get(root + name)
    if hashlib.sha256(content).hexdigest() != listed["sha256"]:
        raise BundleError(f"{store.uri}/{root}{name}: was changed: its SHA-256 is not the manifest's.")
    if as_json:
        text = json.dumps({"version": digest, "card": json.loads(content)}, indent=1, ensure_ascii=False)
        return typer.echo(text)
    return typer.echo(content.decode(), nl=False)
