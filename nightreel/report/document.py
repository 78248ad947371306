"""The frame of every page: one self-contained HTML document, with links to its sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nightreel.report.markup import Markup, anchor, tag, text
from nightreel.report.style import css

HEADING = re.compile("<h2>([^<]*)</h2>")


def document(kicker: str, heading: str, top: Markup, sections: Sequence[Markup]) -> str:
    """Return the document.

    Args:
        kicker: The line above the heading, which is also the window's title.
        heading: What the page is about.
        top: What stands first.
        sections: The rest; empty ones are left out.

    Example:
        >>> document("Nightreel", "Status", tag("p", "all is well"), []).startswith("<!doctype html>")
        True
    """
    links = [tag("a", Markup(name), href=f"#{anchor(name)}") for part in sections for name in HEADING.findall(part)]
    body = [
        tag("header", tag("p", kicker, class_="kicker"), tag("h1", heading), top),
        tag("nav", *links, aria_label="Sections") if links else "",
        tag("main", *sections),
    ]
    return framed(kicker, body)


def framed(title: str, body: Sequence[str], rules: str = "") -> str:
    """Return a document with the reports' style sheet. rules: more of a style sheet."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{css()}{rules}</style></head><body>{''.join(body)}</body></html>\n"
    )


def write(page: str, path: Path) -> None:
    """Write a page at once: who has it open sees the old or the new one. What UTF-8 has no form for becomes "?"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.partial")
    working.write_text(page, "utf-8", errors="replace")
    working.rename(path)
