"""The text of a source's file: what is no UTF-8 text is named by what it is, with what to do about it."""

from __future__ import annotations

import re

from nightreel.errors import UserError

BOM = b"\xef\xbb\xbf"
FIRST = 4096
"""Number of bytes by which a file's kind is told."""
WIDE = 0.3
"""Share of zero bytes among the first ones of UTF-16 without a byte order mark; in UTF-8 there are none."""
UNICODE = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
BY_CONTENT = (
    (re.compile(rb"\x1f\x8b\x08"), "is compressed with gzip. Let its name end in .gz"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "is compressed with bzip2. Let its name end in .bz2"),
    (re.compile(rb"\xfd7zXZ\x00"), "is compressed with xz. Let its name end in .xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "is compressed with Zstandard. Let its name end in .zst"),
    (re.compile(rb"PK\x03\x04"), "is a zip archive or an Excel workbook. Unpack it, or save the sheet as CSV in UTF-8"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "is an Excel workbook. Save the sheet as CSV in UTF-8"),
    (re.compile(rb"PAR1.*[\x00-\x08]", re.DOTALL), "is a Parquet file. Let its name end in .parquet"),
    (re.compile(rb"(?i)\s*<(!doctype|html|\?xml)"), "is a web page or XML, such as a login or an error. Get it again"),
)
"""What a file of text may be instead, by its first bytes → what to do."""


def text_of(content: bytes, file: str) -> bytes:
    """The text of a file without byte order marks.

    Args:
        content: The file, uncompressed.
        file: Its name, for messages.

    Raises:
        UserError: It is empty, binary, or text in another encoding; the message says which.
    """
    if not content.strip():
        raise UserError(f"{file}: is empty. Add a header and rows, or remove the file.")
    encoding = next((name for mark, name in UNICODE if content.startswith(mark)), _without_mark(content[:FIRST]))
    if encoding:
        raise UserError(f"{file}: is encoded as {encoding}. Save it as UTF-8.")
    for kind, what in BY_CONTENT:
        if kind.match(content[:FIRST]):
            raise UserError(f"{file}: {what}.")
    if not content[:FIRST].strip(b"\0"):
        raise UserError(f"{file}: begins with {FIRST:,} zero bytes, so it holds no text. Copy it again.")
    while content.startswith(BOM):  # some tools add one to a file that has one
        content = content.removeprefix(BOM)
    return content


def _without_mark(first: bytes) -> str:
    """UTF-16 if every second byte of the beginning is zero, as in Western text; else nothing."""
    half = len(first) // 2
    zeros = [first[begin::2].count(0) for begin in (0, 1)]
    return "UTF-16" if half and max(zeros) > 2 * WIDE * half and min(zeros) < WIDE * half else ""
