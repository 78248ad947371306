"""The built-in sample: readable titles, a checked download, and an honest message when it can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.data.ingest import movielens
from nightreel.errors import UserError


@pytest.mark.parametrize(("stored", "shown"), [
    ("Toy Story", "Toy Story"),
    ("Godfather, The", "The Godfather"),
    ("Fish Called Wanda, A", "A Fish Called Wanda"),
    ("Postino, Il", "Il Postino"),
    ("Star Maker, The (Uomo delle stelle, L')", "The Star Maker (L'Uomo delle stelle)"),
    ("Visitors, The (Visiteurs, Les)", "The Visitors (Les Visiteurs)"),
    ("Cry, the Beloved Country", "Cry, the Beloved Country"),
    ("20,000 Leagues Under the Sea", "20,000 Leagues Under the Sea"),
    ("To Wong Foo, Thanks for Everything! Julie Newmar", "To Wong Foo, Thanks for Everything! Julie Newmar"),
    ("Paris, Texas", "Paris, Texas"),
    ("Misérables, Les", "Les Misérables"),
])  # fmt: skip
def test_titles_read_as_people_say_them(stored: str, shown: str) -> None:
    assert movielens.readable(stored) == shown


def test_the_wheel_is_fetched_once_checked_and_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = tmp_path / "downloads" / movielens.WHEEL
    wheel.parent.mkdir()
    wheel.write_bytes(b"half a wheel")
    assert movielens.fetch(wheel) == wheel
    assert "no redistribution" in capsys.readouterr().out
    assert [path.name for path in wheel.parent.iterdir()] == [movielens.WHEEL]
    stamp = wheel.stat().st_mtime_ns
    movielens.fetch(wheel)
    assert wheel.stat().st_mtime_ns == stamp and capsys.readouterr().out == ""

    tables = movielens.tables(wheel)
    items, events = tables["items"][1], tables["events"][1]
    assert len(items["item_id"]) == 1682 and len(events["user_id"]) == 100_000
    films = dict(
        zip(items["item_id"], zip(items["title"], items["published_at"], items["genres"], strict=True), strict=True)
    )
    assert films["127"] == ("The Godfather", "1972", "Action|Crime|Drama")
    assert films["8"] == ("Babe", "1995", "Children's|Comedy|Drama")
    assert films["267"][1:] == ("", "")
    genres = {genre for text in items["genres"] for genre in text.split("|") if genre}
    assert len(genres) == 18 and {"Film-Noir", "Sci-Fi", "Children's"} <= genres


def test_without_an_index_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(UserError, match=r"pip could not download recbole==1.2.1 .*set snapshot.source to a folder"):
        movielens.fetch(tmp_path / movielens.WHEEL)


def test_a_foreign_file_under_that_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens, "SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"sha256 9c9948.*it is not the published file"):
        movielens.fetch(tmp_path / movielens.WHEEL)
    assert not (tmp_path / movielens.WHEEL).exists()
