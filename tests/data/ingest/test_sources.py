"""Finding tables in a folder or a bucket, and noticing that they changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nightreel.data.ingest.sources import Source, open_source, table_of
from nightreel.errors import UserError


class Bucket:
    """A folder behind the two calls that a source makes of a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fetched: list[str] = []

    def list(self, prefix: str) -> dict[str, int]:
        paths = (path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in paths}

    def get_file(self, key: str, path: Path) -> None:
        self.fetched.append(key)
        shutil.copyfile(self.root / key, path)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}", "utf-8")
    return folder


def opened(folder: Path) -> Source:
    return open_source(str(folder), folder / "downloads", lambda uri: Bucket(Path(uri)))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("items.csv", "items"),
        ("items.parquet", "items"),
        ("events.jsonl.gz", "events"),
        ("events-2024-01-01.csv", "events"),
        ("events_003.csv.zst", "events"),
        ("events/day=1/part-0.parquet", "events"),
        ("erasures.csv", "erasures"),
        ("rules.csv", "rules"),
        ("events_backup.csv", None),
        ("items.xlsx", None),
        ("items", None),
        ("users.csv", "users"),
        ("people.csv", None),
        ("archive/items.csv", None),
        (".items.csv", None),
        ("events/_SUCCESS", None),
        ("events/.tmp/x.parquet", None),
    ],
)
def test_names_tell_the_table(name: str, table: str | None) -> None:
    assert table_of(name) == table


def test_parts_and_folders_are_read_in_name_order(tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "items.csv", "events/b.parquet", "events/a.parquet", "README.md", "media/x.mp4"))
    assert [file.name for file in source.of("events")] == ["events/a.parquet", "events/b.parquet"]
    assert [file.name for file in source.files] == ["events/a.parquet", "events/b.parquet", "items.csv"]


def test_the_fingerprint_follows_contents_and_names_only(tmp_path: Path) -> None:
    names = ("items.csv", "events.csv")
    first = opened(fill(tmp_path / "one", *names)).fingerprint
    assert opened(fill(tmp_path / "two", *names, "notes.md")).fingerprint == first
    fill(tmp_path / "two", "events-2.csv")
    (tmp_path / "two/events.csv").rename(tmp_path / "two/events-1.csv")
    second = opened(tmp_path / "two").fingerprint
    (tmp_path / "two/events-1.csv").write_text("other", "utf-8")
    third = opened(tmp_path / "two").fingerprint
    (tmp_path / "two/terms.txt").write_text("CC0", "utf-8")
    fourth = opened(tmp_path / "two")
    assert len({first, second, third, fourth.fingerprint}) == 4 and fourth.terms == "CC0"


def test_a_bucket_is_mirrored_and_what_is_gone_there_goes_here(tmp_path: Path) -> None:
    bucket = Bucket(fill(tmp_path / "bucket", "items.csv", "events/1.csv", "events/2.csv", "media/film.mp4"))
    downloads = tmp_path / "downloads"
    source = open_source("s3://logs/shop", downloads, lambda uri: bucket)
    assert source.name == "s3://logs/shop" and "media/film.mp4" not in bucket.fetched
    assert source.fingerprint == opened(tmp_path / "bucket").fingerprint
    (tmp_path / "bucket/events/1.csv").unlink()
    again = open_source("s3://logs/shop", downloads, lambda uri: bucket)
    assert [file.name for file in again.files] == [
        "events/2.csv",
        "items.csv",
    ] and again.fingerprint != source.fingerprint


@pytest.mark.parametrize(("names", "message"), [
    (("events.csv",), r"holds no items\.\* file"),
    (("items.csv", "event.csv"), r"holds no events\.\* file\. .*event\.csv: name it events\.csv"),
    (("items.csv", "items.parquet", "events.csv"), r"items.csv and items.parquet both hold the table items"),
    (("items.csv", "events.csv", "events/1.csv"), r"events.csv and events/1.csv both hold the table events"),
])  # fmt: skip
def test_an_unclear_folder_is_refused_with_a_remedy(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        opened(fill(tmp_path / "source", *names))
