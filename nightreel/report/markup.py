"""HTML building blocks: escaped text, tables that scroll on narrow screens, sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """Finished HTML; any other value is text and gets escaped."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Escape a value, unless it is Markup."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, *inside: object, **attributes: str) -> Markup:
    """Return `<name class="…">…</name>`; in attribute names a trailing underscore is dropped, others become hyphens."""
    shown = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{shown}>{''.join(map(text, inside))}</{name}>")


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = (), below: Sequence[object] = ()
) -> Markup:
    """Return a table in a box that scrolls sideways on narrow screens.

    Args:
        head: Names of the columns.
        rows: Their cells.
        numbers: Indices of right-aligned columns.
        below: For each row a sentence that stands below it, as wide as the screen; empty for none.
    """

    def line(cells: Sequence[object], kind: str) -> Markup:
        return tag("tr", *(tag(kind, cell, **_side(n, numbers)) for n, cell in enumerate(cells)))

    def note(number: int) -> Markup:
        said = below[number] if number < len(below) else ""
        cell = tag("td", tag("div", said), colspan=str(len(head)))
        return tag("tr", cell, class_="below") if said else Markup("")

    body = tag("tbody", *(part for n, cells in enumerate(rows) for part in (line(cells, "td"), note(n))))
    return tag("div", tag("table", tag("thead", line(head, "th")), body), class_="scroll", tabindex="0")


def explained(name: object, details: object) -> Markup:
    """Return a cell with its explanation below it, so that it can be read on a narrow screen."""
    return tag("div", tag("b", name), tag("div", details, class_="note"), class_="wide")


def section(title: str, *inside: object) -> Markup:
    """Return a section with its heading; empty if there is nothing inside."""
    kept = [each for each in inside if each]
    return tag("section", tag("h2", title), *kept, id=anchor(title)) if kept else Markup("")


def anchor(title: str) -> str:
    """Return the id of a section."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.casefold()).split())


def caption(value: object) -> Markup:
    """Return an explanatory line."""
    return tag("p", value, class_="note")


def with_code(value: str) -> Markup:
    """Escape a text, and set what stands between backticks in it as code."""
    parts = value.split("`")
    if len(parts) % 2 == 0:
        return text(value)
    return Markup("".join(tag("code", part) if n % 2 else text(part) for n, part in enumerate(parts)))


def _side(column: int, numbers: Sequence[int]) -> dict[str, str]:
    return {"class_": "number"} if column in numbers else {}
