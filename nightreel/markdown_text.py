"""Text from outside in Markdown: titles, names and errors start no HTML, link, picture or table of their own."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"[\\|`]|(?<=\])\(")
"""What begins code or a cell of a table, and the bracket that makes a link or a picture."""


def on_one_line(value: object) -> str:
    r"""Text on one line, in which nothing is taken for Markdown that loads, links or breaks something.

    Example:
        >>> on_one_line("![a](http://x.org/b.png) | <b>")
        '![a]\\(http://x.org/b.png) \\| &lt;b>'
    """
    return SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split())).replace("<", "&lt;")


def fenced(text: str) -> str:
    """Text as a block of code that it can't end itself.

    Example:
        >>> print(fenced("a"))
        ```
        a
        ```
    """
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
