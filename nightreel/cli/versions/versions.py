"""`nightreel versions`: the versions in a store, the channels that serve them, and what is withdrawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At
from nightreel.cli.output import print_table
from nightreel.errors import UserError

if TYPE_CHECKING:
    from nightreel.store.backends.base import Store


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=VERSIONS)(versions)


def versions(at: At = None, as_json: AsJson = False) -> None:
    """List the versions in the store: when each was published, its verdict, and which channels serve it."""
    from nightreel.store import channels
    from nightreel.store.open import open_store

    store = open_store(at)
    pointers = channels.channels(store)
    pointed = {name: pointer.digest for name, pointer in pointers.items()}
    refused = set(channels.blocked(store))
    rows: list[dict[str, Any]] = []
    for digest in channels.versions(store):
        record = channels.lineage(store, digest)
        rows.append(
            {
                "version": digest,
                "published_at": record.get("published_at"),
                "label": record.get("label"),
                "channels": [name for name, live in pointed.items() if live == digest],
                "predecessor": record.get("predecessor"),
                "recipe": record.get("recipe"),
                "commit": record.get("commit"),
                "blocked": record.get("recipe") in refused,
            }
        )
    rows.sort(key=lambda row: row["published_at"] or "", reverse=True)
    withdrawals = {name: _withdrawn(store, pointer.withdrawals) for name, pointer in pointers.items()}
    if as_json:
        return typer.echo(
            json.dumps({"store": store.uri, "versions": rows, "withdrawals": withdrawals}, indent=1, ensure_ascii=False)
        )
    if not rows:
        raise UserError(f"nothing is published yet in {store.uri}: run `nightreel run`.")
    shown = [
        [
            row["version"][:12],
            row["published_at"] or "",
            ", ".join(row["channels"]),
            row["label"] or "",
            (row["predecessor"] or "")[:12],
            "blocked" if row["blocked"] else "",
        ]
        for row in rows
    ]
    print_table(store.uri, ["version", "published", "channel", "verdict", "predecessor", ""], shown)
    for name, counts in withdrawals.items():
        typer.echo(f"channel {name}: {_described(counts)}")
    return None


def _withdrawn(store: Store, sha256: str | None) -> dict[str, Any]:
    """The counts in a channel's withdrawals file, or why it can't be read."""
    from nightreel.store import withdrawals_file

    try:
        file = withdrawals_file.read(store, sha256)
    except withdrawals_file.WithdrawalsError as error:
        return {"sha256": sha256, "fault": str(error)}
    return {"sha256": sha256, **(file.counts if file else {})}


def _described(withdrawn: dict[str, Any]) -> str:
    if withdrawn["sha256"] is None or "fault" in withdrawn:
        return withdrawn.get("fault") or "no withdrawals"
    return (
        f"withdrawals {withdrawn['sha256'][:12]}: {withdrawn['blocked']:,} items blocked "
        f"({withdrawn['items_by_hand']:,} by `nightreel withdraw`), {withdrawn['users']:,} users erased "
        f"({withdrawn['users_by_hand']:,} by `nightreel withdraw`), {withdrawn['rules']:,} rules"
    )
