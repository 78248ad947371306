"""`nightreel card`: the model card stored in a published version."""

from __future__ import annotations

import json

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At, Channel, LiveOr
from nightreel.cli.output import print_json
from nightreel.errors import UserError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=VERSIONS)(card)


def card(
    version: LiveOr = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Print a version's model card: intended use, data, training, quality by user group, and limits."""
    from nightreel.store import channels
    from nightreel.store.open import open_store
    from nightreel.store.remote_files import file_of, manifest_of

    store = open_store(at)
    digest = channels.resolve(store, channel, version)
    manifest, name = manifest_of(store, digest), "card.json" if as_json else "card.md"
    if name not in manifest.files:
        raise UserError(
            f"version {digest[:12]} has no model card: it was published before Nightreel wrote them. Choose a later "
            "version (`nightreel versions`)."
        )
    content = file_of(store, digest, name, manifest)
    if as_json:
        return print_json({"version": digest, "card": json.loads(content)})
    return typer.echo(content.decode(), nl=False)
