"""Quotes that are opened and never closed in CSV and TSV: find the lines that they would swallow, and free them.

A text that begins with a quote (`"Heroes`) and was exported without quoting opens a cell that ends at the next quote,
hundreds of lines further down. All rows in between would become one cell. A cell with line breaks counts as such a
fault if at least half of its lines are rows by themselves. Then every line is read alone: one whose quotes are closed
as usual, one whose quote stays open as it stands (the quote is part of the text), if its number of cells is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nightreel.data.contract.tables import Table
from nightreel.data.ingest.casting import ISO_DATE, NUMBER
from nightreel.data.ingest.raw_tables import is_utf8

SAMPLE = 2000
"""Number of ordinary rows from which the shapes of ids are learned."""
MOMENT = re.compile(rf"{NUMBER}|{ISO_DATE}".encode())


@dataclass(frozen=True)
class Freed:
    """Content in which every swallowed line is a row again.

    Attributes:
        content: The body of the file, without its header.
        unreadable: Number of the row, from 1 → its line in the file, for lines whose quote stays open and that have
            another number of cells than the header.
        quotes: Number of the quotes that were never closed.
        lines: Number of lines that were read alone.
        first: Line of the first such quote in the file.
    """

    content: bytes
    unreadable: dict[int, int]
    quotes: int
    lines: int
    first: int


class Dialect:
    """How a delimiter cuts lines into cells; a quote counts only at the beginning of a cell."""

    def __init__(self, delimiter: str) -> None:
        mark = re.escape(delimiter.encode())
        cell = rb'(?:"(?:[^"]|"")*+"[^%b]*+|(?!")[^%b]*+)' % (mark, mark)
        self.delimiter = delimiter.encode()
        self._closed = re.compile(rb"(?:%b%b)*+%b\Z" % (cell, mark, cell))
        self._end = re.compile(rb'(?:[^"]|"")*+"[^%b]*+(?:%b|\Z)' % (mark, mark))
        self._cell = re.compile(rb"(%b)(?:%b|\Z)" % (cell, mark))

    def closed(self, line: bytes) -> bool:
        """Whether all quotes of a line are closed in it."""
        return b'"' not in line or self._closed.match(line) is not None

    def closes(self, line: bytes) -> bool:
        """Whether a line that begins inside a quote ends outside of one."""
        found = self._end.match(line)
        if found is None:
            return False
        return found[0][-1:] != self.delimiter or self.closed(line[found.end() :])

    def cells(self, line: bytes) -> list[bytes]:
        """The cells of a line by itself; literally, if one of its quotes stays open."""
        if b'"' not in line or not self.closed(line):
            return line.split(self.delimiter)
        found = [cell[1] for cell in self._cell.finditer(line)]
        # After a last delimiter there is one more, empty cell; without one, the pattern finds an empty one too many.
        found = found if line.endswith(self.delimiter) else found[:-1] if len(found) > 1 and not found[-1] else found
        return [cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' and cell[-1:] == b'"' else cell for cell in found]


def records(lines: Sequence[bytes], dialect: Dialect) -> Iterator[tuple[int, int, bool]]:
    """(first line, line after the last, whether its quotes are closed) of every row; blank lines belong to none."""
    at = 0
    while at < len(lines):
        begin, line = at, lines[at].rstrip(b"\r\n")
        at += 1
        if not line:
            continue
        closed = dialect.closed(line)
        while not closed and at < len(lines):
            closed = dialect.closes(lines[at].rstrip(b"\r\n"))
            at += 1
        yield begin, at, closed


def free(body: bytes, delimiter: str, names: Sequence[str], table: Table, line: int) -> Freed:
    """Free the lines that open quotes swallow.

    Args:
        body: Content of the file after its header.
        delimiter: The delimiter.
        names: The header.
        table: The contract.
        line: Number of the first line of `body` in the file.
    """
    dialect, lines = Dialect(delimiter), body.splitlines(keepends=True)
    rows = list(records(lines, dialect))
    alone = _recogniser(dialect, names, table, [lines[a].rstrip(b"\r\n") for a, b, _ in rows if b - a == 1][:SAMPLE])
    ids = [at for at, name in enumerate(names) if name in table.names and table[name].kind == "id"]
    content: list[bytes] = []
    unreadable: dict[int, int] = {}
    row = freed = quotes = first = 0
    for begin, end, _ in rows:
        inside = [each.rstrip(b"\r\n") for each in lines[begin + 1 : end]]
        inside = [each for each in inside if each]
        if not inside or 2 * sum(map(alone, inside)) < len(inside):
            content += lines[begin:end]
            row += 1
            continue
        freed += end - begin
        first = first or line + begin
        for at in range(begin, end):
            text = lines[at].rstrip(b"\r\n")
            if not text:
                continue
            row += 1
            cells, closed = dialect.cells(text), dialect.closed(text)
            quotes += not closed
            fits = closed or len(cells) == len(names)
            if fits and not any(b'"' in cell for at, cell in enumerate(cells) if at in ids):
                content.append(lines[at] if closed else _quoted(cells, dialect.delimiter))
            else:
                unreadable[row] = line + at
                content.append(_quoted([b""] * (2 if len(names) == 1 else 1), dialect.delimiter))
    return Freed(b"".join(content), unreadable, quotes, freed, first)


def with_plain_faults(body: bytes, delimiter: str, columns: int) -> bytes:
    """The same content, in which rows with another number of cells are plain ASCII: arrow can't hand over others."""
    dialect, lines = Dialect(delimiter), body.splitlines(keepends=True)
    for begin, end, _ in records(lines, dialect):
        text = b"".join(lines[begin:end])
        if text.isascii() or is_utf8(text):
            continue
        if end - begin > 1 or len(dialect.cells(text.rstrip(b"\r\n"))) != columns:
            lines[begin:end] = [line.decode("ascii", "replace").encode("ascii", "replace") for line in lines[begin:end]]
    return b"".join(lines)


def _quoted(cells: Sequence[bytes], delimiter: bytes) -> bytes:
    return delimiter.join(b'"' + cell.replace(b'"', b'""') + b'"' for cell in cells) + b"\n"


def _recogniser(
    dialect: Dialect, names: Sequence[str], table: Table, sample: Sequence[bytes]
) -> Callable[[bytes], bool]:
    """Whether a line is a row by itself: enough cells, an id like those of ordinary rows, and a time where one is."""
    filled = [column for column in table.columns if column.filled and column.name in names]
    key = next(names.index(column.name) for column in filled)
    moments = [names.index(column.name) for column in filled if column.kind == "moment"]
    wanted = len(names)
    shapes = {_shape(cells[key]) for cells in map(dialect.cells, sample) if len(cells) == wanted}

    def alone(line: bytes) -> bool:
        cells = dialect.cells(line)
        # A text may hold delimiters; where no time confirms that this is a row, the number of cells has to be exact.
        if len(cells) < wanted or (len(cells) > wanted and not moments):
            return False
        if any(MOMENT.match(cells[at].strip()) is None for at in moments):
            return False
        return _shape(cells[key]) in shapes if shapes else b" " not in cells[key]

    return alone


def _shape(cell: bytes) -> bytes:
    return re.sub(rb"[0-9]+", b"9", re.sub(rb"[A-Za-z\x80-\xff]+", b"a", cell.strip()))
