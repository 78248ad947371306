"""What looks like a part of a table and is not read is named; for erasures and rules that is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.data.ingest.sources import Source, open_source
from nightreel.errors import UserError

ROW = "user_id,item_id,timestamp,event\nu,1,1,play\n"


class Bucket:
    """An object store whose prefix holds these files."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def list(self, prefix: str) -> dict[str, int]:
        return {name: len(text) for name, text in self.files.items()}

    def get_file(self, key: str, path: Path) -> None:
        path.write_text(self.files[key])


def source(tmp_path: Path, *names: str) -> Source:
    folder = tmp_path / "source"
    for name in ("items.csv", "events/a.csv", *names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(ROW)
    return open_source(str(folder), tmp_path, lambda _: Bucket({}))


@pytest.mark.parametrize(("name", "reason"), [
    ("events/b.json", "its ending is none of"), ("events/b.csv.lz4", "its ending"), ("events/deep/er/x", "its ending"),
    ("events/_c.csv", "begins with a dot or an underscore"), ("items-new.csv", "name it items.csv, items-1.csv"),
    ("items.xlsx", "its ending"), ("Events/b.csv", "lies in the folder Events. Rename the folder to events"),
    ("event/b.csv", "Rename the folder to events"), ("items_2026.json", "its ending"),
])  # fmt: skip
def test_parts_that_are_not_read_are_named_with_their_bytes(tmp_path: Path, name: str, reason: str) -> None:
    found = source(tmp_path, name)
    assert len(found.notes) == 1 and found.notes[0].startswith(("events: 1 file", "items: 1 file"))
    assert f"({len(ROW)} bytes)" in found.notes[0] and name in found.notes[0] and reason in found.notes[0]


@pytest.mark.parametrize("name", [
    "README.md", "terms.txt", "posters/1.png", "users.csv", "eventually.md", "events/_SUCCESS", "events/.a.csv.crc",
    "items.py", "events/_delta_log/0.json", "tags.csv",
])  # fmt: skip
def test_other_files_are_not_named(tmp_path: Path, name: str) -> None:
    assert source(tmp_path, name).notes == ()


@pytest.mark.parametrize("name", [
    "Erasures.csv", "erasure.csv", "erasures.json", "erasures.xlsx", "ERASURES.CSV", "rule.csv", "Rules.parquet",
    "rules-old.csv", "erasures/list.txt", "Rules/a.csv", "erasures.csv/part-0.csv", "rules",
])  # fmt: skip
def test_erasures_and_rules_that_are_not_read_stop_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: is not read, and may hold (erasures|rules): "):
        source(tmp_path, name)


def test_links_are_followed_once_and_dangling_ones_named(tmp_path: Path) -> None:
    folder = tmp_path / "source/events"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.csv").write_text(ROW)
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "self").symlink_to(folder, target_is_directory=True)
    (folder / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    found = source(tmp_path)
    assert [file.name for file in found.of("events")] == ["events/a.csv", "events/linked/b.csv"]
    assert "events/gone.csv: links to a file that is not there" in found.notes[0]
    assert "events/self: links to a folder that is read already" in found.notes[0]


def test_a_dangling_link_of_erasures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/erasures.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match=r"erasures\.csv: is not read, .*links to a file that is not there"):
        source(tmp_path)


def test_a_folder_with_a_files_name_is_explained_where_the_table_is_missing(tmp_path: Path) -> None:
    (tmp_path / "source/events.csv").mkdir(parents=True)
    (tmp_path / "source/items.csv").write_text(ROW)
    (tmp_path / "source/events.csv/part-0.csv").write_text(ROW)
    with pytest.raises(UserError, match=r"holds no events\.\* file\..*Rename the folder to events"):
        open_source(str(tmp_path / "source"), tmp_path, lambda _: Bucket({}))


def test_an_object_store_is_looked_through_as_well(tmp_path: Path) -> None:
    whole = {"items.csv": ROW, "events/a.csv": ROW}
    found = open_source("s3://logs/shop", tmp_path, lambda _: Bucket(whole | {"events/b.json": ROW}))
    assert f"events: 1 file is not read ({len(ROW)} bytes): events/b.json" in found.notes[0]
    with pytest.raises(UserError, match=r"Erasures\.csv: is not read"):
        open_source("s3://logs/shop", tmp_path, lambda _: Bucket(whole | {"Erasures.csv": ROW}))


def test_a_link_to_the_source_itself_makes_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "source/events").mkdir(parents=True)
    (tmp_path / "source/events/whole").symlink_to(tmp_path / "source", target_is_directory=True)
    found = source(tmp_path)
    assert [file.name for file in found.files] == ["events/a.csv", "items.csv"]
    assert "events/whole: links to a folder that is read already" in found.notes[0]


def test_names_and_terms_that_steer_a_terminal_are_written_out(tmp_path: Path) -> None:
    steering = "\x1b]0;x\x07\n\u202e"
    (tmp_path / "source").mkdir()
    (tmp_path / "source/terms.txt").write_text("CC BY\x1b[2J\nsecond line")
    found = source(tmp_path, f"events/a{steering}.csv", f"events/b{steering}.json")
    shown = [*(file.name for file in found.files), *found.notes, found.terms.replace("\n", "")]
    assert not [text for text in shown if not text.isprintable()]
    assert "events/a\\x1b]0;x\\x07\\n\\u202e.csv" in shown and found.terms == "CC BY\\x1b[2J\nsecond line"
