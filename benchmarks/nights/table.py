"""What `python -m benchmarks.nights` prints of its nights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.nights.webhook import Message
from nightreel.cli.replay_view import NAMES, figure, rankers
from nightreel.monitoring.night import GOOD
from nightreel.replay.night import day
from nightreel.replay.night_run import Row

RECOVERY = "all right again"
INCOMPLETE = "late day"
"""Trouble of which a person must be told although the night itself is good: it publishes what is there."""
LOST = ("lost_rows", "came_back", "lost_versions")


def show(found: dict[str, Any], messages: Sequence[Message]) -> int:
    """Print the nights, the summary and the counts.

    Args:
        found: What `nightreel replay --json` said.
        messages: The notifications that came.

    Returns:
        The exit status: 0 if all is as it must be.
    """
    console, rows = Console(highlight=False, width=150), found["nights"]
    told = [notified(row, messages) for row in rows]
    console.print(_nights(rows, told))
    silent = sum(row["silent"] and not heard for row, heard in zip(rows, told, strict=True))
    lost = {name: sum(row[name] for row in rows) for name in LOST}
    for line in (*_summary(rows, found["overall"]), *_counts(rows, told, silent, lost)):
        console.print(line, soft_wrap=True)
    return int(bool(silent or any(lost.values()) or not all(row["as_expected"] for row in rows)))


def notified(row: Row, messages: Sequence[Message]) -> bool:
    """Whether a notification said that something was wrong with a night."""
    begun = row["night"].replace("T", " ")[:16]
    return any(RECOVERY not in each["title"] and f"night of {begun}" in each["message"] for each in messages)


def _nights(rows: Sequence[Row], told: Sequence[bool]) -> Table:
    table = Table(box=box.MARKDOWN, pad_edge=True)
    for name in ("night", "trouble", "expected", "seen"):
        table.add_column(name)
    shown = rankers(rows)
    for name in ("status told", "notified", *(NAMES[name] for name in shown), "users", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, heard in zip(rows, told, strict=True):
        seen = row["outcome"] if row["as_expected"] else f"{row['outcome']} (!)"
        table.add_row(
            day(row["night"]),
            ", ".join(row["troubles"]) or "–",
            " or ".join(row["expected"]),
            seen,
            str(len(row["told"])) if row["told"] else "–",
            "yes" if heard else "–",
            *(figure(row.get(name)) for name in shown),
            f"{row['users']:,}",
            f"{row['seconds']:.0f}",
        )
    return table


def _summary(rows: Sequence[Row], overall: dict[str, Any] | None) -> list[str]:
    """What ran, what was published, what readers saw."""
    outcomes = Counter(row["outcome"] for row in rows)
    versions = {row["version"] for row in rows if row["version"]}
    lines = [
        f"Ran: {len(rows)} nights, {sum(row['seconds'] for row in rows) / 60:.0f} minutes, and "
        f"{sum(row['judging_seconds'] for row in rows) / 60:.0f} of judging. "
        + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        + ".",
        f"Published: {len(versions)} versions.",
    ]
    if overall is not None:
        means = (f"{NAMES[name]} {_interval(overall['means'][name])}" for name in overall["means"])
        lines.append(
            f"Readers saw, over {overall['rows']:,} user-nights, NDCG@10 of the day after: {', '.join(means)}."
        )
    return lines


def _counts(rows: Sequence[Row], told: Sequence[bool], silent: int, lost: dict[str, int]) -> list[str]:
    troubled = [row for row in rows if row["troubles"]]
    bad = [heard for row, heard in zip(rows, told, strict=True) if _bad(row)]
    false_alarms = sum(heard for row, heard in zip(rows, told, strict=True) if not _bad(row))
    return [
        f"Nights with trouble as expected: {sum(row['as_expected'] for row in troubled)} of {len(troubled)}; others: "
        f"{sum(row['as_expected'] for row in rows if not row['troubles'])} of {len(rows) - len(troubled)}.",
        f"Bad nights with a notification: {sum(bad)} of {len(bad)}; good nights with one: {false_alarms}.",
        f"Silent: {silent} (must be 0).",
        f"Lost: {lost['lost_rows']} rows, {lost['came_back']} withdrawn items and users that came back, "
        f"{lost['lost_versions']} versions (must be 0).",
    ]


def _bad(row: Row) -> bool:
    return row["outcome"] not in GOOD or INCOMPLETE in row["troubles"]


def _interval(given: dict[str, float]) -> str:
    return f"{given['point']:.4f} ({given['low']:.4f}–{given['high']:.4f})"
