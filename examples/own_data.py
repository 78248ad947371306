"""Your own data: write a source in the table contract, and run a night on it.

    python examples/own_data.py films              # writes films/items.csv, films/events.csv and films/rules.csv
    nightreel run --data films                     # a night on it: some minutes
    nightreel recommend u0007

The data are random: 300 users, 120 items, two tastes. Replace `items` and `events` by queries to your own systems. All
columns are described in docs/your-data.md.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

GENRES = ("Crime|Thriller", "Romance|Comedy")
START = datetime(2026, 9, 1, tzinfo=UTC)


def items(n: int) -> Iterator[dict[str, Any]]:
    """A row an item. Only item_id and title are needed; lists are joined by `|`."""
    for number in range(n):
        yield {
            "item_id": f"film-{number:03d}",
            "title": f"{('The Case', 'The Wedding')[number % 2]} {number}",
            "genres": GENRES[number % 2],
            "media_type": "video",
            "language": "en",
        }


def events(users: int, n_items: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """A row for each thing that a user did. Users with an odd number mostly watch items with an odd number."""
    for user in range(users):
        time = START + timedelta(days=rng.uniform(0, 60))
        for _ in range(rng.randint(5, 15)):
            taste = user % 2 if rng.random() < 0.85 else 1 - user % 2
            watched = 2 * rng.randrange(n_items // 2) + taste
            time += timedelta(hours=rng.uniform(1, 48))
            yield {
                "user_id": f"u{user:04d}",
                "item_id": f"film-{watched:03d}",
                "timestamp": time.isoformat(timespec="seconds"),
                "event": "watch",
                "value": round(rng.uniform(0.3, 1.0), 2),  # the fraction that was watched
            }


def rules() -> Iterator[dict[str, Any]]:
    """Optional: what editors want of every list. Here, at most five items of a genre."""
    yield {"rule": "max_per_genre", "target": "", "value": 5, "starts_at": "", "ends_at": ""}


def write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows as CSV; returns how many."""
    table = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    return len(table)


def main(folder: Path) -> None:
    """Write the three tables."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    for name, rows in (("items", items(120)), ("events", events(300, 120, rng)), ("rules", rules())):
        print(f"{folder / name}.csv: {write(folder / f'{name}.csv', rows):,} rows")
    print(f"Now run: nightreel run --data {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "films"))
