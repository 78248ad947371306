"""The commands that read what is published: recommend, similar, versions, verify, rollback, release.

They import neither Prefect nor torch nor anything else that is slow to start, and rich only to print a table.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import reading_tables as tables
from flows.reading_options import AsJson, At, Channel, K, LiveOr, Named, Version
from tasks.index.wishes import Wishes
from tasks.stage import UserError

if TYPE_CHECKING:
    from tasks.index.lists import Recommendation
    from tasks.index.reader import Reader


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (recommend, similar, versions, verify, rollback, release):
        app.command()(command)


def recommend(
    users: Annotated[list[str] | None, typer.Argument(metavar="[USER]...", help="User ids.")] = None,
    users_file: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="Users: .parquet or .csv with user_id, or lines.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="FILE", help="Items that somebody new took to, oldest first: lines, or "
                     ".parquet or .csv with item_id."),
    ] = None,
    k: K = 10,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    seen: Annotated[
        bool | None,
        typer.Option("--seen/--no-seen", help="May a list hold seen items? Default: as evaluated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write user_id, item_id, rank, score as .parquet.")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why, for each item.")] = False,
    audience_age: Annotated[
        int | None, typer.Option("--audience-age", metavar="YEARS", min=0, help="Only items that this age may see.")
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The best next items for users, or for a history; unknown users get what is popular."""
    from tasks.index.reader import Reader

    if sum(map(bool, (users, users_file, history))) != 1:
        raise UserError("Name users, or give --users FILE, or give --history FILE: one of the three.")
    if out is not None and (history is not None or out.suffix != ".parquet"):
        raise UserError(f"--out {out}: writes lists of users to a .parquet file. Give such a name, and users.")
    ids = list(dict.fromkeys(tables.read_column(users_file, "user_id") if users_file else users or []))
    reader = Reader.open(at, channel=channel, version=version)
    if history is not None:
        return _for_history(reader, tables.read_column(history, "item_id"), k, audience_age, why, as_json)
    return _for_users(reader, ids, k, None if seen is None else not seen, out, audience_age, why, as_json)


def _for_history(reader: Reader, items: list[str], k: int, age: int | None, why: bool, as_json: bool) -> None:
    found = reader.recommend(history=items, k=k, wishes=Wishes(audience_age=age), reasons=why)
    listed = [_listed(reader, each) for each in found]
    skipped = reader.unknown(items)
    if as_json:
        return print_json({"version": reader.digest, "recommendations": listed, "unknown_items": skipped})
    if skipped:
        _note(f"passed over {len(skipped)} unknown items: {', '.join(skipped[:5])}{'…' if len(skipped) > 5 else ''}")
    return print_lists(reader, {f"For a history of {len(items) - len(skipped)} items": listed})


def _for_users(
    reader: Reader, ids: list[str], k: int, exclude: bool | None, out: Path | None, age: int | None, why: bool,
    as_json: bool,
) -> None:  # fmt: skip
    strangers = [user for user, known in zip(ids, reader.knows(ids), strict=True) if not known]
    if out is not None:
        table = reader.recommend_users(ids, k, exclude_seen=exclude, audience_age=age)
        tables.write_parquet(table, out)
        facts = {"out": str(out), "users": len(ids), "unknown_users": len(strangers), "rows": table.num_rows}
        if as_json:
            return print_json({"version": reader.digest, **facts})
        return typer.echo(
            f"{out}: {table.num_rows:,} rows for {len(ids):,} users ({len(strangers):,} unknown ones got what is "
            f"popular), version {reader.digest[:12]}"
        )
    asked: dict[str, Any] = {"k": k, "exclude_seen": exclude, "wishes": Wishes(audience_age=age), "reasons": why}
    lists = {user: [_listed(reader, each) for each in reader.recommend(user, **asked)] for user in ids}
    if as_json:
        return print_json({"version": reader.digest, "lists": lists, "unknown_users": strangers})
    for user in strangers:
        _note(f"user {user} is not in this version: what is popular")
    return print_lists(reader, {f"For user {user}": rows for user, rows in lists.items()})


def similar(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, or its exact title.")],
    k: K = 10,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Items whose content is nearest to an item's."""
    from tasks.index.reader import Reader

    reader = Reader.open(at, channel=channel, version=version)
    found = [row_of(reader, each.item_id, rank, each.score) for rank, each in enumerate(reader.similar(item, k), 1)]
    if as_json:
        return print_json({"version": reader.digest, "similar": found})
    return print_lists(reader, {f"Near {reader.items.titles[reader.items.require(item)]}": found})


def versions(at: At = None, as_json: AsJson = False) -> None:
    """What the store holds: each version, where it came from and which channel points to it."""
    from tasks.index import channels
    from tasks.index.stores import open_store

    store = open_store(at)
    pointed = {name: pointer.digest for name, pointer in channels.channels(store).items()}
    refused = set(channels.blocked(store))
    rows: list[dict[str, Any]] = []
    for digest in channels.versions(store):
        record = channels.lineage(store, digest)
        rows.append({
            "version": digest, "published_at": record.get("published_at"), "label": record.get("label"),
            "channels": [name for name, live in pointed.items() if live == digest],
            "predecessor": record.get("predecessor"), "recipe": record.get("recipe"), "commit": record.get("commit"),
            "blocked": record.get("recipe") in refused,
        })  # fmt: skip
    rows.sort(key=lambda row: row["published_at"] or "", reverse=True)
    if as_json:
        return print_json({"store": store.uri, "versions": rows})
    if not rows:
        raise UserError(f"nothing is published yet in {store.uri}: run `nightreel run`.")
    shown = [
        [row["version"][:12], row["published_at"] or "", ", ".join(row["channels"]), row["label"] or "",
         (row["predecessor"] or "")[:12], "blocked" if row["blocked"] else ""]
        for row in rows
    ]  # fmt: skip
    return tables.print_table(store.uri, ["version", "published", "channel", "verdict", "after", ""], shown)


def verify(
    version: LiveOr = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Read every file of a version from the store and compare it with its manifest."""
    from tasks.index import bundle, cache, channels
    from tasks.index.stores import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, version)
    if store.folder(f"versions/{digest}") is not None:
        manifest = bundle.read_manifest(cache.fetch(store, digest))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            manifest = cache.download(store, digest, Path(scratch) / digest)
    size = sum(entry["size"] for entry in manifest.files.values())
    if as_json:
        return print_json({"version": digest, "files": len(manifest.files), "bytes": size, "whole": True})
    return typer.echo(f"{digest[:12]}: {len(manifest.files)} files, {size / 1e6:.1f} MB, all as published")


def rollback(
    version: Annotated[str | None, typer.Argument(metavar="[V]", help="Default: the live one's predecessor.")] = None,
    at: At = None,
    channel: Channel = "live",
    as_json: AsJson = False,
) -> None:
    """Point a channel back to a kept version, and keep runs from promoting the one that was live again."""
    from tasks.index import channels
    from tasks.index.stores import open_store

    began = time.perf_counter()
    left, live = channels.rollback(open_store(at), channel, version)
    seconds = round(time.perf_counter() - began, 3)
    if as_json:
        return print_json({"channel": channel, "left": left, "live": live, "seconds": seconds})
    return typer.echo(
        f"channel {channel}: {left[:12]} → {live[:12]} in {seconds:.2f} s. The recipe of {left[:12]} is blocked until "
        f"`nightreel release {left[:12]}`."
    )


def release(version: Named, at: At = None, as_json: AsJson = False) -> None:
    """Let runs promote a version's recipe again after a rollback; the channel stays where it is."""
    from tasks.index import channels
    from tasks.index.stores import open_store

    recipe = channels.release(open_store(at), version)
    if as_json:
        return print_json({"recipe": recipe, "blocked": False})
    return typer.echo(f"recipe {recipe[:12]} may be promoted again")


def row_of(reader: Reader, item_id: str, rank: int, score: float) -> dict[str, Any]:
    """An item of a list, for people and programs; no score for what a rule brought in and the model did not rank."""
    index = reader.items.require(item_id)
    row = {"rank": rank, "item_id": item_id, "title": reader.items.titles[index], "genres": reader.items.genres[index]}
    return row | {"score": None if math.isnan(score) else round(score, 6)}


def _listed(reader: Reader, each: Recommendation) -> dict[str, Any]:
    why = {"why": [reason.text for reason in each.reasons]} if each.reasons else {}
    return row_of(reader, each.item_id, each.rank, each.score) | {"reason": each.reason} | why


def print_lists(reader: Reader, lists: dict[str, list[dict[str, Any]]]) -> None:
    """Tables under their headings, and the version below."""
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
    _note(f"version {reader.digest[:12]}")


def _note(text: str) -> None:
    typer.secho(text, dim=True, err=True)


def print_json(value: Any) -> None:
    """As it is, in any script."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
