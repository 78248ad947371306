"""What the commands print: tables, lists of items, JSON and remarks.

rich is imported only to print a table, because the reading commands start fast.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from nightreel.reader.reader import Reader


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of text cells; the columns `#` and `score` are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in ("#", "score") else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table, highlight=False)


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
        print_table(heading, columns, shown)
    note(f"version {reader.digest[:12]}")


def note(text: str) -> None:
    """Print a remark, dimmed, to stderr."""
    typer.secho(text, dim=True, err=True)


def print_json(value: Any) -> None:
    """Print a value as indented JSON, without escaping non-ASCII letters."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
