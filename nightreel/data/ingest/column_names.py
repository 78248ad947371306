"""Names of a file's columns: what each is taken for, and what a message may show of a header.

A file without a header begins with a row, and a damaged one may hold a row's cells in its header: what may be a cell is
not shown, because it may be the id of a user.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from nightreel.data.contract.tables import Column, Table
from nightreel.errors import listed

NAME = re.compile(r"^[\w .:/()#%-]{1,60}$")
"""What looks like the name of a column."""
JOINED = re.compile(r"^[\w .:/()#%;|,=\t'-]{1,200}$")
"""The same for a header whose columns are separated in another way."""
MASKED = "[masked]"
MOST = 20
"""Maximum number of names in a message."""


def shown(names: Sequence[str], sound: bool = True) -> str:
    """Names of columns beyond the contract, for a message. sound: whether the header holds names alone; where its line
    break is lost, it goes on with the cells of a row.

    Example:
        >>> shown(["mood", "requested_atu007"], sound=False)
        'mood, [masked]'
    """
    return _listed([name if NAME.match(name) and (sound or not _is_cell(name)) else MASKED for name in names])


def renamed(names: Sequence[str], table: Table) -> dict[str, str]:
    """Column of the file → name in the contract, where they differ in case and spaces alone and only one does."""
    meant: dict[str, list[str]] = {}
    for name in names:
        meant.setdefault("".join(name.split()).casefold(), []).append(name)
    return {
        meant[name.casefold()][0]: name
        for name in table.names
        if name not in names and len(meant.get(name.casefold(), [])) == 1
    }


def missing(file: str, column: Column, found: Sequence[str], table: Table) -> str:
    """The message for a required column that the file lacks.

    Args:
        file: The file's name.
        column: The missing column.
        found: The columns that it has, by their names in the contract where they have one.
        table: The contract.
    """
    sure = any(name in table.names for name in found)
    names = [name if JOINED.match(name) and (sure or not _is_cell(name)) else MASKED for name in found]
    return (
        f"{file}: column `{column.name}` ({column.meaning}) is missing; found {_listed(names) or 'no column'}. "
        f"{_remedy(column, found, names)}"
    )


def _is_cell(name: str) -> bool:
    """Whether a name without a known one beside it looks like an id, a number or a time."""
    return any(letter.isdigit() for letter in name)


def _remedy(column: Column, found: Sequence[str], names: Sequence[str]) -> str:
    first = found[0].strip() if found else ""
    if first.startswith("{"):
        return "It looks like JSON Lines: let its name end in .jsonl."
    if first.startswith("sep="):
        return "Remove this first line, which is meant for a spreadsheet."
    if first.startswith(("#", "//", "--")):
        return "Put the column names into the first line, without comments before it."
    mark = next((mark for mark in ("::", ";", "\t", "|", ",") if len(found) == 1 and mark in found[0]), None)
    if mark:
        separator = "tabs" if mark == "\t" else f"`{mark}`"
        return f"Separate the columns by commas (.csv) or tabs (.tsv); they are separated by {separator}."
    near = difflib.get_close_matches(column.name, [name for name in names if name != MASKED], n=1, cutoff=0.6)
    if near:
        return f"Rename `{near[0]}`?"
    return "Put the column names into the first line, which looks like a row." if MASKED in names else "Add it."


def _listed(names: Sequence[str]) -> str:
    return listed(names, MOST) + (f" ({len(names):,} in all)" if len(names) > MOST else "")
