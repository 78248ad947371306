"""The command `recommend`: lists for users, or for a history, from what is published.

It imports neither Prefect nor torch nor anything else that is slow to start.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightreel.cli import tables
from nightreel.cli.options import AsJson, At, Channel, K, Moment, Version
from nightreel.cli.versions.releases import note, print_json, print_lists, row_of
from nightreel.errors import UserError
from nightreel.reader.options import RequestOptions

if TYPE_CHECKING:
    from nightreel.bundle.clock import Moment as Told
    from nightreel.reader.reader import Reader
    from nightreel.reader.results import Recommendation


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(recommend)


def recommend(
    users: Annotated[list[str] | None, typer.Argument(metavar="[USER]...", help="User ids.")] = None,
    users_file: Annotated[
        Path | None,
        typer.Option("--users", metavar="FILE", help="Users: .parquet or .csv with user_id (and moment), or lines."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="FILE",
            help="Items that somebody new took to, oldest first: lines, or .parquet or .csv with item_id.",
        ),
    ] = None,
    k: K = 10,
    moment: Moment = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    seen: Annotated[
        bool | None,
        typer.Option("--seen/--no-seen", help="May a list hold seen items? Default: as evaluated; with --out: no."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write user_id, item_id, rank, score as .parquet.")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why, for each item.")] = False,
    audience_age: Annotated[
        int | None, typer.Option("--audience-age", metavar="YEARS", min=0, help="Only items that this age may see.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The best next items tonight for users, or for a history; unknown users get what is popular."""
    from nightreel.reader.reader import Reader

    if sum(map(bool, (users, users_file, history))) != 1:
        raise UserError("Name users, or give --users FILE, or give --history FILE: one of the three.")
    if out is not None and (history is not None or out.suffix != ".parquet"):
        raise UserError(f"--out {out}: writes lists of users to a .parquet file. Give such a name, and users.")
    ids, cells = tables.read_users(users_file) if users_file else (list(dict.fromkeys(users or [])), None)
    reader = Reader.open(at, channel=channel, version=version)
    when = reader.clock.moment(moment)
    if history is not None:
        return _for_history(reader, tables.read_column(history, "item_id"), k, when, audience_age, why, as_json)
    each = [when] * len(ids) if cells is None else [_cell(reader, cell, when) for cell in cells]
    # A table of lists holds no seen items unless asked for: it is what gets scored, and sent out.
    exclude = not seen if seen is not None else (True if out is not None else None)
    return _for_users(reader, ids, k, each, exclude, out, audience_age, why, as_json)


def _cell(reader: Reader, cell: object, otherwise: Told) -> Told:
    """A file's moment of one user; an empty cell is as the command says of all."""
    told = reader.clock.moment(cell)
    return otherwise if told is None else told


def _for_history(
    reader: Reader, items: list[str], k: int, when: Told, age: int | None, why: bool, as_json: bool
) -> None:
    found = reader.recommend(history=items, k=k, at=when, options=RequestOptions(audience_age=age), reasons=why)
    listed = [_listed(reader, each) for each in found]
    skipped = reader.unknown(items)
    if as_json:
        return print_json({"version": reader.digest, "recommendations": listed, "unknown_items": skipped})
    if skipped:
        note(f"passed over {len(skipped)} unknown items: {', '.join(skipped[:5])}{'…' if len(skipped) > 5 else ''}")
    return print_lists(reader, {f"For a history of {len(items) - len(skipped)} items": listed})


def _for_users(
    reader: Reader,
    ids: list[str],
    k: int,
    each: list[Told],
    exclude: bool | None,
    out: Path | None,
    age: int | None,
    why: bool,
    as_json: bool,
) -> None:
    """each: the moment of each user's list."""
    strangers = [user for user, known in zip(ids, reader.knows(ids), strict=True) if not known]
    if out is not None:
        # One moment for all may find lists that were computed with the version.
        when = each[0] if len(set(each)) == 1 else each
        table = reader.recommend_users(ids, k, at=when, exclude_seen=exclude, audience_age=age)
        tables.write_parquet(table, out)
        facts = {"out": str(out), "users": len(ids), "unknown_users": len(strangers), "rows": table.num_rows}
        if as_json:
            return print_json({"version": reader.digest, **facts})
        return typer.echo(
            f"{out}: {table.num_rows:,} rows for {len(ids):,} users ({len(strangers):,} unknown ones got what is "
            f"popular), version {reader.digest[:12]}"
        )
    asked: dict[str, Any] = {
        "k": k,
        "exclude_seen": exclude,
        "options": RequestOptions(audience_age=age),
        "reasons": why,
    }
    lists = {
        user: [_listed(reader, found) for found in reader.recommend(user, at=when, **asked)]
        for user, when in zip(ids, each, strict=True)
    }
    if as_json:
        return print_json({"version": reader.digest, "lists": lists, "unknown_users": strangers})
    for user in strangers:
        note(f"user {user} is not in this version: what is popular")
    return print_lists(reader, {f"For user {user}": rows for user, rows in lists.items()})


def _listed(reader: Reader, each: Recommendation) -> dict[str, Any]:
    why = {"why": [reason.text for reason in each.reasons]} if each.reasons else {}
    return row_of(reader, each.item_id, each.rank, each.score) | {"reason": each.reason} | why
