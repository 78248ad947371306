"""Sources of every odd kind, for `odd_sources`: tables made by Hypothesis, and sound files with damaged bytes."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from nightreel.data.contract.tables import EVENTS, TABLES

USER = "Zq7user"
"""Part of every user id; it may stand in nothing that is written."""
START = 1_767_225_600
ODD = (
    "", " ", "\\N", "NaT", "nan", "null", "-", "inf", "-inf", "1e400", "-1", "0", "99999999999999999999", "0x10", "1,5",
    "2024-01-01", "2024-02-30", "9999-12-31T23:59:59+14:00", "0001-01-01", "0000-00-00", "20240101", "20240101235959",
    "1704067200000000", "1704067200000", "58000-01-01", "2024-01-01T10:00", "tomorrow", '"', 'a"b', '"open', "a\nb",
    "a\r\nb", "a,b", "a\tb", "a\x00b", "\u202eabc", "true", "maybe", "|", "a||b", "[]", "{}", '["a"]', "cafe\u0301",
    "\ufeffx", "\u2028", "😀" * 9, "English", "en_US", "x" * 5000,
)  # fmt: skip
KEY_ROWS = 12


@dataclass(frozen=True)
class Files:
    """A source. content: by name; rows: by table, where they are known."""

    content: dict[str, bytes]
    rows: dict[str, int] = field(default_factory=dict)

    def shown(self) -> str:
        """The beginning of every file, for a report."""
        return "\n".join(f"--- {name}: {content[:600]!r}" for name, content in self.content.items())


Draw = Callable[[st.SearchStrategy[Any]], Any]
Column = list[Any]
Table = dict[str, Column]


def sound() -> dict[str, Table]:
    """Tables without a fault."""
    users = [f"{USER}{n % 4}" for n in range(KEY_ROWS * 2)]
    return {
        "items": {
            "item_id": [f"i{n}" for n in range(KEY_ROWS)],
            "title": [f"Film {n}" for n in range(KEY_ROWS)],
            "description": [f'A story, "told" in {n} parts' for n in range(KEY_ROWS)],
            "genres": ["Drama|Crime", "Comedy"] * (KEY_ROWS // 2),
            "language": ["en"] * KEY_ROWS,
            "media_type": ["video"] * KEY_ROWS,
            "duration_s": [60.0 + n for n in range(KEY_ROWS)],
            "published_at": ["2020-01-01"] * KEY_ROWS,
            "expires_at": [None] * KEY_ROWS,
            "blocked": [None] * KEY_ROWS,
            "min_age": list(range(KEY_ROWS)),
        },
        "events": {
            "user_id": users,
            "item_id": [f"i{n * 5 % KEY_ROWS}" for n in range(KEY_ROWS * 2)],
            "timestamp": [START + n * 3600 for n in range(KEY_ROWS * 2)],
            "event": ["play"] * (KEY_ROWS * 2 - 2) + ["search", "comment"],
            "value": [None, 0.5] * KEY_ROWS,
            "text": [None] * (KEY_ROWS * 2 - 2) + ["a good film", "a long journey"],
            "slate_id": ["s1"] * (KEY_ROWS * 2),
            "position": list(range(KEY_ROWS * 2)),
            "propensity": [0.5] * (KEY_ROWS * 2),
        },
        "erasures": {"user_id": [f"{USER}3"], "requested_at": ["2026-01-01"]},
        "rules": {"rule": ["pin", "hide"], "target": ["i1", "genre:Crime"], "value": [1, None]},
        "users": {
            "user_id": [f"{USER}{n}" for n in range(KEY_ROWS)],
            "country": ["DE", "FR"] * (KEY_ROWS // 2),
            "age_band": ["18-24"] * KEY_ROWS,
            "languages": ["de|fr", "fr"] * (KEY_ROWS // 2),
            "plan": ["free"] * KEY_ROWS,
            "labels": ["Drama", "Comedy|Crime"] * (KEY_ROWS // 2),
            "signed_up_at": ["2025-12-31"] * KEY_ROWS,
        },
    }


def _moments(unit: str) -> Callable[[int], pa.Array]:
    # Parquet has no seconds: they are written as milliseconds, and must not overflow on the way.
    values = [0, 1_767_225_600, -(10**15), 10**12, 9 * 10**15 if unit == "s" else 2**62, None]
    return lambda n: pa.array([values[k % 6] for k in range(n)], pa.int64()).cast(pa.timestamp(unit))


def _cycle(values: Sequence[Any], kind: pa.DataType) -> Callable[[int], pa.Array]:
    return lambda n: pa.array([values[k % len(values)] for k in range(n)], kind)


STRANGE: tuple[Callable[[int], pa.Array], ...] = (
    *(_moments(unit) for unit in ("s", "ms", "us", "ns")),
    _cycle([1, 2, None], pa.int8()),
    _cycle([2**63, 2**64 - 1, 0], pa.uint64()),
    _cycle([1e19, 5e15, float("nan"), float("-inf"), 2.0], pa.float64()),
    lambda n: pa.array(np.arange(n, dtype=np.float16)),
    _cycle([decimal.Decimal("1.50"), decimal.Decimal(-3), None], pa.decimal128(20, 2)),
    _cycle([decimal.Decimal(10) ** 60], pa.decimal256(70, 2)),
    _cycle([True, False, None], pa.bool_()),
    _cycle([dt.date(2024, 1, 1), dt.date(1, 1, 1), None], pa.date32()),
    _cycle([10**15, -(10**15)], pa.date64()),
    _cycle([dt.time(1, 2, 3)], pa.time64("us")),
    _cycle([dt.timedelta(1), None], pa.duration("us")),
    _cycle([b"fine", b"caf\xe9", None], pa.binary()),
    _cycle([b"fine", b"caf\xe9", None], pa.large_binary()),
    _cycle([b"0123456789abcdef", b"\xff" * 16], pa.binary(16)),
    _cycle([b"abc", b"\xff\xfe\xfd"], pa.binary(3)),
    lambda n: pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([uuid.UUID(int=k).bytes for k in range(n)], pa.binary(16))
    ),
    _cycle(["a", "b|c", None], pa.string_view()),
    _cycle(["a", "b|c", None], pa.large_string()),
    lambda n: pa.array(["a", None, "b"] * n).dictionary_encode()[:n],
    _cycle([["a", None], [], None], pa.list_(pa.string())),
    _cycle([["a"], [" "]], pa.large_list(pa.large_string())),
    _cycle([[1, 2]], pa.list_(pa.int64())),
    _cycle([["a", "b"]], pa.list_(pa.string(), 2)),
    _cycle([{"name": "a"}, None], pa.struct([("name", pa.string())])),
    _cycle([[("a", "b")]], pa.map_(pa.string(), pa.string())),
    lambda n: pa.nulls(n),
)  # fmt: skip


@st.composite
def sources(draw: st.DrawFn) -> Files:
    """A source of which a few columns are odd."""
    tables, content, rows = sound(), {}, {}
    for name, table in tables.items():
        if name in ("erasures", "rules", "users") and draw(st.booleans()):
            continue
        columns = _odd_columns(draw, name, table)
        kind = draw(st.sampled_from(["csv", "tsv", "jsonl", "parquet", "parquet"]))
        n = len(next(iter(columns.values())))
        content[f"{name}.{kind}"] = WRITE[kind](columns, draw)
        # Cells beyond what CSV can say without quotes may take a row with them, which is counted, too.
        rows[name] = n
    return Files(content, rows)


def _odd_columns(draw: st.DrawFn, name: str, table: Table) -> Table:
    """The table with up to three columns whose cells are partly or all odd; once in a while one is missing."""
    columns = {key: list(cells) for key, cells in table.items()}
    odd = st.one_of(
        st.sampled_from(ODD), st.text(max_size=9), st.sampled_from(EVENTS), st.integers(), st.floats(), st.none()
    )
    names = st.sampled_from([column.name for column in TABLES[name].columns])
    for key in draw(st.lists(names, max_size=3, unique=True)):
        n = len(next(iter(columns.values())))
        column = columns.setdefault(key, [None] * n)
        cells = st.sampled_from([None, f" {USER}1 ", f"{USER}1.0", f"{USER}\x00"]) if key == "user_id" else odd
        named = key in ("item_id", "event", "device", "session_id") and name == "events"
        if named or (key in ("country", "plan") and name == "users"):
            cells = st.one_of(odd, st.just(f"{USER}1"), st.just(f" {USER}2"))
        for at in draw(st.sets(st.integers(0, n - 1), max_size=n)):
            column[at] = draw(cells)
    if name == "events":
        _forget_strangers(columns)
    if draw(st.integers(0, 19)) == 0:
        columns.pop(draw(st.sampled_from(list(columns))))
    return columns


def _forget_strangers(columns: Table) -> None:
    """Empty the misplaced ids of users whom the user column no longer holds: nothing tells them from other words."""
    known = {str(cell).strip() for cell in columns["user_id"] if cell}
    for key in ("item_id", "event", "device", "session_id"):
        cells = columns.get(key, [])
        for at, cell in enumerate(cells):
            if USER in str(cell) and str(cell).strip() not in known:
                cells[at] = None


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).encode("utf-8", "replace").decode()


def _write_delimited(columns: Table, delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(cell) for cell in row] for row in zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def _write_json(columns: Table, draw: Draw) -> bytes:
    ascii_only = draw(st.booleans())
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return b"".join(json.dumps(row, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n" for row in rows)


def _write_parquet(columns: Table, draw: Draw) -> bytes:
    n = len(next(iter(columns.values())))
    arrays = {}
    for name, cells in columns.items():
        strange = draw(st.integers(0, 11)) == 0 and name != "user_id"
        try:
            arrays[name] = draw(st.sampled_from(STRANGE))(n) if strange else pa.array(cells)
        except (pa.ArrowException, OverflowError, UnicodeError, TypeError):
            arrays[name] = pa.array([_text(cell) or None for cell in cells], pa.string())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    return bytes(sink.getvalue().to_pybytes())


WRITE: dict[str, Callable[[Table, Draw], bytes]] = {
    "csv": lambda columns, draw: _write_delimited(columns, ","),
    "tsv": lambda columns, draw: _write_delimited(columns, "\t"),
    "jsonl": _write_json,
    "parquet": _write_parquet,
}


def damaged(rng: random.Random) -> Files:
    """A sound source of which one file has damaged bytes."""
    content = {}
    for name, table in sound().items():
        kind = rng.choice(list(WRITE))
        content[f"{name}.{kind}"] = WRITE[kind](table, _never)
    name = rng.choice(list(content))
    content[name] = _damage(content[name], rng)
    return Files(content)


def _never(_: st.SearchStrategy[Any]) -> Any:
    """In place of Hypothesis: nothing is drawn."""
    return 1


def _damage(content: bytes, rng: random.Random) -> bytes:
    whole = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(whole)) if whole else 0
        kind = rng.randrange(5)
        if kind == 0 and whole:
            whole[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            whole[at:at] = rng.choice([b'"', b"\x00", b"\xff", b"\n", b"\r", b",", b"\t", b"{", b"\\", b"\xef\xbb\xbf"])
        elif kind == 2:
            del whole[at : at + rng.randint(1, 40)]
        elif kind == 3:
            whole[at:at] = whole[max(0, at - rng.randint(1, 200)) : at]
        else:
            whole = whole[: len(whole) - rng.randint(0, len(whole) // 2)]
    return bytes(whole)
