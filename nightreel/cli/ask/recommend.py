"""`nightreel recommend`: lists for users, or for a history, from a published version.

Imports neither Prefect nor torch nor anything else that is slow to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightreel.cli import tables
from nightreel.cli.help_groups import ASK
from nightreel.cli.options import AsJson, At, AudienceAge, Channel, K, Moment, Version
from nightreel.cli.output import note, print_json, print_lists, row_of
from nightreel.errors import UserError, listed
from nightreel.reader.options import RequestOptions
from nightreel.reader.requests.context import pairs

if TYPE_CHECKING:
    from nightreel.bundle.clock import Moment as Time
    from nightreel.reader.reader import Reader
    from nightreel.reader.results import Recommendation


UsersFile = Annotated[
    Path | None,
    typer.Option(
        "--users",
        metavar="FILE",
        help="User ids: a .parquet or .csv with user_id (and optionally moment), or one id per line.",
    ),
]
HistoryFile = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Items that a new user liked, oldest first: one id per line, or a .parquet or .csv with item_id.",
    ),
]
Excluded = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="ITEM", help="Leave out this item; can be repeated.")
]
ExcludedFile = Annotated[
    Path | None,
    typer.Option(
        "--exclude-file",
        metavar="FILE",
        help="Leave out these items: one id per line, or a .parquet or .csv with item_id.",
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="COLUMN=LABEL",
        help="What is known of a user without events, or of the moment, as country=DE or hour=20; can be repeated.",
    ),
]
Offset = Annotated[int, typer.Option("--offset", metavar="N", min=0, help="Pass over the first N places of each list.")]


@dataclass(frozen=True)
class Wanted:
    """What is wanted of each list. why: with reasons; context: labels by column."""

    k: int
    offset: int
    options: RequestOptions
    why: bool
    context: dict[str, tuple[str, ...]]

    @property
    def arguments(self) -> dict[str, Any]:
        """As arguments of Reader.recommend."""
        given = {"k": self.k, "offset": self.offset, "options": self.options, "reasons": self.why}
        return {**given, "context": self.context}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=ASK)(recommend)


def recommend(
    users: Annotated[list[str] | None, typer.Argument(metavar="USER", help="User ids.")] = None,
    users_file: UsersFile = None,
    history: HistoryFile = None,
    k: K = 10,
    moment: Moment = None,
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    seen: Annotated[
        bool | None,
        typer.Option(
            "--seen/--no-seen",
            help="Include items the user has already seen. Default: as the version was evaluated (with --out: "
            "excluded).",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write user_id, item_id, rank and score to a .parquet file."),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Explain each item.")] = False,
    audience_age: AudienceAge = None,
    exclude: Excluded = None,
    exclude_file: ExcludedFile = None,
    offset: Offset = 0,
    context: Context = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items for users, for a history or for a context; unknown users get popular items."""
    from nightreel.reader.reader import Reader

    if sum(map(bool, (users, users_file, history))) != (0 if context and not (users or users_file) else 1):
        raise UserError(
            "Give exactly one of the three: user ids, --users FILE or --history FILE. Instead, or with user ids, "
            "--context describes a user without events."
        )
    if out is not None and (history is not None or out.suffix != ".parquet"):
        raise UserError(
            f"--out {out}: writes users' lists to a .parquet file. Give a name that ends in .parquet, and user ids or "
            "--users FILE."
        )
    if out is not None and context:
        raise UserError("--context: describes one user, and --out writes lists of many. Put it into the table users.")
    if out is not None and offset:
        raise UserError(f"--offset {offset}: --out writes whole lists. Leave it out, or ask for more places with -k.")
    left_out = [*(exclude or []), *(tables.read_column(exclude_file, "item_id") if exclude_file else [])]
    options = RequestOptions(explore=0.0, audience_age=audience_age, exclude=tuple(left_out))
    ids, cells = tables.read_users(users_file) if users_file else (list(dict.fromkeys(users or [])), None)
    reader = Reader.open(at, channel=channel, version=version)
    when = reader.clock.moment(moment)
    _note_unknown(reader, left_out)
    request = Wanted(k, offset, options, why, pairs(context or ()))
    if history is not None:
        return _for_history(reader, tables.read_column(history, "item_id"), when, request, as_json)
    if not ids and context:
        return _for_context(reader, when, request, as_json)
    times = [when] * len(ids) if cells is None else [_time_of(reader, cell, when) for cell in cells]
    # A written table excludes seen items by default, because it is what gets scored and sent out.
    without = not seen if seen is not None else (True if out is not None else None)
    return _for_users(reader, ids, times, without, out, request, as_json)


def _time_of(reader: Reader, cell: object, default: Time) -> Time:
    """The time in a user's row of the file; an empty cell gets the command's."""
    time = reader.clock.moment(cell)
    return default if time is None else time


def _note_unknown(reader: Reader, items: list[str]) -> None:
    """Say which of the items to leave out the version does not know: the id may be misspelt."""
    unknown = reader.unknown(items)
    if unknown:
        note(f"--exclude: {len(unknown)} items are not in this version: {listed(unknown)}")


def _for_history(reader: Reader, items: list[str], when: Time, wanted: Wanted, as_json: bool) -> None:
    results = reader.recommend(history=items, at=when, **wanted.arguments)
    rows = [_row(reader, result) for result in results]
    skipped = reader.unknown(items)
    if as_json:
        return print_json({"version": reader.digest, "recommendations": rows, "unknown_items": skipped})
    if skipped:
        note(f"ignored {len(skipped)} items that this version does not know: {listed(skipped)}")
    return print_lists(reader, {f"For a history of {len(items) - len(skipped)} items": rows})


def _for_context(reader: Reader, when: Time, wanted: Wanted, as_json: bool) -> None:
    rows = [_row(reader, result) for result in reader.recommend(at=when, **wanted.arguments)]
    if as_json:
        return print_json({"version": reader.digest, "recommendations": rows})
    named = ", ".join(f"{name} {' and '.join(labels)}" for name, labels in wanted.context.items())
    return print_lists(reader, {f"For {named}": rows})


def _for_users(
    reader: Reader,
    ids: list[str],
    times: list[Time],
    exclude: bool | None,
    out: Path | None,
    wanted: Wanted,
    as_json: bool,
) -> None:
    """Print or write the lists of users. times: one for each user."""
    unknown = [user for user, known in zip(ids, reader.knows(ids), strict=True) if not known]
    if out is not None:
        # With one time for all users, the lists precomputed with the version can be used.
        when = times[0] if len(set(times)) == 1 else times
        table = reader.recommend_users(
            ids,
            wanted.k,
            at=when,
            exclude_seen=exclude,
            audience_age=wanted.options.audience_age,
            exclude=wanted.options.exclude,
        )
        tables.write_parquet(table, out)
        facts = {"out": str(out), "users": len(ids), "unknown_users": len(unknown), "rows": table.num_rows}
        if as_json:
            return print_json({"version": reader.digest, **facts})
        return typer.echo(
            f"{out}: {table.num_rows:,} rows for {len(ids):,} users ({len(unknown):,} unknown users got popular "
            f"items), version {reader.digest[:12]}"
        )
    request = {"exclude_seen": exclude, **wanted.arguments}
    lists = {
        user: [_row(reader, result) for result in reader.recommend(user, at=when, **request)]
        for user, when in zip(ids, times, strict=True)
    }
    if as_json:
        return print_json({"version": reader.digest, "lists": lists, "unknown_users": unknown})
    for user in unknown:
        if reader.describes(user):
            note(f"user {user} has no events in this version and gets what is popular among similar users")
        else:
            note(f"user {user} is not in this version and gets popular items")
    return print_lists(reader, {f"For user {user}": rows for user, rows in lists.items()})


def _row(reader: Reader, result: Recommendation) -> dict[str, Any]:
    why = {"why": [reason.text for reason in result.reasons]} if result.reasons else {}
    return row_of(reader, result.item_id, result.rank, result.score) | {"reason": result.reason} | why
