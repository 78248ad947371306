"""Commands on published versions: verify, rollback, release.

They import neither Prefect nor torch nor anything else that is slow to load, and rich only to print a table.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At, Channel, LiveOr, Named
from nightreel.cli.output import print_json

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (verify, rollback, release):
        app.command(rich_help_panel=VERSIONS)(command)


def verify(
    version: LiveOr = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Check every file of a version in the store against its manifest."""
    from nightreel.bundle import format
    from nightreel.store import channels, local_cache
    from nightreel.store.open import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, version)
    if store.folder(f"versions/{digest}") is not None:
        manifest = format.read_manifest(local_cache.fetch(store, digest))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            manifest = local_cache.download(store, digest, Path(scratch) / digest)
    size = sum(entry["size"] for entry in manifest.files.values())
    if as_json:
        return print_json({"version": digest, "files": len(manifest.files), "bytes": size, "whole": True})
    return typer.echo(f"{digest[:12]}: {len(manifest.files)} files, {size / 1e6:.1f} MB, all match the manifest")


def rollback(
    version: Annotated[
        str | None, typer.Argument(metavar="[V]", help="The version to go back to. Default: the predecessor.")
    ] = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Point a channel back to an earlier version, and block runs from promoting the one it leaves."""
    from nightreel.store import channels
    from nightreel.store.open import open_store

    began = time.perf_counter()
    left, live = channels.rollback(open_store(at), channel, version)
    seconds = round(time.perf_counter() - began, 3)
    if as_json:
        return print_json({"channel": channel, "left": left, "live": live, "seconds": seconds})
    return typer.echo(
        f"channel {channel}: {left[:12]} → {live[:12]} in {seconds:.2f} s. The recipe of {left[:12]} is blocked; "
        f"`nightreel release {left[:12]}` lifts the block."
    )


def release(version: Named, at: At = None, as_json: AsJson = False) -> None:
    """Lift the block that a rollback put on a version's recipe; the channel does not change."""
    from nightreel.store import channels
    from nightreel.store.open import open_store

    recipe = channels.release(open_store(at), version)
    if as_json:
        return print_json({"recipe": recipe, "blocked": False})
    return typer.echo(f"recipe {recipe[:12]} may be promoted again")
