"""Media files of a source: which are read, and how they are pinned."""

import os
from pathlib import Path

import pytest

from nightreel.data.ingest.media_files import locate, media_root, pin
from nightreel.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "clips").mkdir(parents=True)
    (folder / "clips/a b.mp4").write_bytes(b"film")
    (tmp_path / "secret.mp4").write_bytes(b"not yours")
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    return folder.resolve()


def test_files_inside_the_source_are_found(root: Path) -> None:
    clip = root / "clips/a b.mp4"
    for uri in ("clips/a b.mp4", str(clip), clip.as_uri()):
        assert locate(uri, root) == (clip, "")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("../secret.mp4", "outside the source's folder"),
        ("link.mp4", "outside the source's folder"),
        ("/etc/passwd", "outside the source's folder"),
        ("file:///etc/passwd", "outside the source's folder"),
        ("file://server/share/a.mp4", "file: addresses are not supported; copy the file into the source's folder"),
        ("http://127.0.0.1/a.mp4", "http: addresses are not supported; copy the file into the source's folder"),
        ("http://169.254.169.254/", "http: addresses are not supported; copy the file into the source's folder"),
        ("s3://bucket/a.mp4", "s3: addresses are not supported; set their folder or bucket in snapshot.media"),
        ("clips/gone.mp4", "file not found"),
        ("clips", "file not found"),
        ("a\0b", "not a valid path"),
    ],
)
def test_what_is_not_read_says_why(root: Path, uri: str, reason: str) -> None:
    assert locate(uri, root) == (None, reason)


def test_media_lie_beside_the_tables_or_where_it_is_said(root: Path, tmp_path: Path) -> None:
    class Objects:
        def __init__(self, uri: str) -> None:
            self.uri = uri

    assert media_root(str(root), "", Objects) == media_root("movielens-100k", str(root), Objects) == root
    assert media_root("s3://bucket/prefix", "", Objects).uri == "s3://bucket/prefix"
    assert media_root(str(root), "s3://bucket/films", Objects).uri == "s3://bucket/films"
    assert media_root("movielens-100k", "", Objects) is None
    with pytest.raises(UserError, match=r"snapshot\.media '.*gone': folder not found\. Set an existing folder"):
        media_root(str(root), str(tmp_path / "gone"), Objects)
    assert locate("clips/a b.mp4", None) == (None, "media are read only from a folder or an s3:// address")


def test_pins_are_hashes_that_follow_the_content(root: Path, tmp_path: Path) -> None:
    known = tmp_path / "media.json"
    first = pin(["clips/a b.mp4", "http://host/b.mp4", "clips/a b.mp4"], root, known)
    assert first["clips/a b.mp4"]["bytes"] == 4 and len(first["clips/a b.mp4"]["sha256"]) == 64
    assert "skipped" in first["http://host/b.mp4"]
    assert pin(list(first), root, known) == first
    (root / "clips/a b.mp4").write_bytes(b"fiLm")
    os.utime(root / "clips/a b.mp4", ns=(1, 1))
    assert pin(list(first), root, known)["clips/a b.mp4"]["sha256"] != first["clips/a b.mp4"]["sha256"]
    assert pin([], root, tmp_path / "none.json") == {} and not (tmp_path / "none.json").exists()
