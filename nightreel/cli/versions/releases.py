"""Commands on published versions: similar, verify, rollback, release.

They import neither Prefect nor torch nor anything else that is slow to load, and rich only to print a table.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightreel.cli import tables
from nightreel.cli.help_groups import ASK, VERSIONS
from nightreel.cli.options import AsJson, At, Channel, K, LiveOr, Named, Version

if TYPE_CHECKING:
    from nightreel.reader.reader import Reader


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(rich_help_panel=ASK)(similar)
    for command in (verify, rollback, release):
        app.command(rich_help_panel=VERSIONS)(command)


def similar(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, or its exact title.")],
    k: K = 10,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """List the items whose content is most similar to an item's."""
    from nightreel.reader.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    found = [row_of(reader, each.item_id, rank, each.score) for rank, each in enumerate(reader.similar(item, k), 1)]
    if as_json:
        return print_json({"version": reader.digest, "similar": found})
    return print_lists(reader, {f"Similar to {reader.items.titles[reader.items.require(item)]}": found})


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


def row_of(reader: Reader, item_id: str, rank: int, score: float) -> dict[str, Any]:
    """One row of a list, for the terminal and for JSON; the score is None for an item that a rule put there."""
    index = reader.items.require(item_id)
    row = {"rank": rank, "item_id": item_id, "title": reader.items.titles[index], "genres": reader.items.genres[index]}
    return row | {"score": None if math.isnan(score) else round(score, 6)}


def print_lists(reader: Reader, lists: dict[str, list[dict[str, Any]]]) -> None:
    """Print a table under each heading, and the version below."""
    for heading, rows in lists.items():
        shown = [
            [
                str(row["rank"]),
                row["title"],
                ", ".join(row["genres"]),
                "" if row["score"] is None else f"{row['score']:.3f}",
                *row.get("why", ())[:1],
            ]
            for row in rows
        ]
        columns = ["#", "title", "genres", "score", *(["why"] if any(len(row) > 4 for row in shown) else [])]
        tables.print_table(heading, columns, shown)
    note(f"version {reader.digest[:12]}")


def note(text: str) -> None:
    """Print a remark, dimmed, to stderr."""
    typer.secho(text, dim=True, err=True)


def print_json(value: Any) -> None:
    """Print a value as indented JSON, without escaping non-ASCII letters."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
