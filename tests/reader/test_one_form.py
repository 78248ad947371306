"""Labels, languages and item ids mean the same in every form in which they are written, in rules and in requests."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle import editorial_rules
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from tests.support.bundles import reseal, write_bundle

COMPOSED = "Com\u00e9die"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
ACCENTED = "i\u00e9"
FUNNY = ("i000", "i002", "i004", "i006", "i008", unicodedata.normalize("NFD", ACCENTED))
"""Items of the genre, some of which write it in the other form, or with other capitals."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version as an earlier release wrote it: labels as they stood in the source."""
    folder = tmp_path_factory.mktemp("forms") / "bundle"
    write_bundle(folder)
    items = pq.read_table(folder / "items.parquet")
    ids = items["item_id"].to_pylist()
    ids[10] = FUNNY[-1]
    forms = (COMPOSED, DECOMPOSED, f" {COMPOSED.upper()}")
    genres = [[forms[FUNNY.index(item) % 3]] if item in FUNNY else ["Sci-Fi"] for item in ids]
    languages = pa.array([["zh-Hant", "de"][n % 2] for n in range(len(ids))])
    columns = {"item_id": ids, "genres": genres, "creators": [["Ann" if n % 2 else "ANN "] for n in range(len(ids))]}
    for name, cells in columns.items():
        place = items.column_names.index(name) if name in items.column_names else items.num_columns
        items = (
            items.set_column(place, name, [cells]) if place < items.num_columns else items.append_column(name, [cells])
        )
    pq.write_table(items.append_column("language", languages), folder / "items.parquet")
    reseal(folder)
    return folder


def ruled(folder: Path, target: Path, *rules: tuple[str, str | None, float | None]) -> Reader:
    """The version with rules of (rule, target, value)."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).symlink_to(path)
    rows = [{"rule": rule, "target": named, "value": value} for rule, named, value in rules]
    editorial_rules.write(target, pa.Table.from_pylist(rows, RULES_SCHEMA))
    return Reader.open_bundle(target, check=False)


def shown(reader: Reader, **request: object) -> set[str]:
    return {each.item_id for each in reader.recommend(k=30, **request)}  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [f"genre:{COMPOSED}", f"Genre: {DECOMPOSED} ", f"genre:{DECOMPOSED.upper()}"])
def test_a_hidden_genre_is_hidden_in_every_form_on_every_door(folder: Path, tmp_path: Path, target: str) -> None:
    reader = ruled(folder, tmp_path / "ruled", ("hide", target, None))
    lists = (reader.recommend("u000", k=30), reader.recommend(history=["i001", "i003"], k=30), reader.recommend(k=30))
    found = {each.item_id for each in (*lists[0], *lists[1], *lists[2])}
    found |= {each.item_id for each in (*reader.search("story", 30), *reader.similar("i001", 30))}
    found |= set(reader.recommend_users(["u000", "nobody"], 30)["item_id"].to_pylist())
    assert "i001" in found and not found & set(FUNNY)
    assert reader.rules is not None and reader.rules.unmatched == ()
    pinned = RequestOptions(pinned=FUNNY, boosted=FUNNY)
    assert not shown(reader, options=pinned) & set(FUNNY)


@pytest.mark.parametrize("item", [ACCENTED, f" {ACCENTED} ", FUNNY[-1], f"item:{FUNNY[-1]} "])
def test_an_item_is_hidden_by_its_id_in_every_form(folder: Path, tmp_path: Path, item: str) -> None:
    assert FUNNY[-1] not in shown(ruled(folder, tmp_path / "ruled", ("hide", item, None)))


@pytest.mark.parametrize("item", [ACCENTED, f" {ACCENTED} ", FUNNY[-1]])
def test_a_request_excludes_and_filters_in_every_form(folder: Path, item: str) -> None:
    reader = Reader.open_bundle(folder, check=False)
    assert FUNNY[-1] in shown(reader) and FUNNY[-1] not in shown(reader, options=RequestOptions(exclude=(item,)))
    assert reader.recommend(k=1, options=RequestOptions(pinned=(item,)))[0].item_id == FUNNY[-1]
    assert reader.unknown([item]) == [] and reader.similar(item, 1)
    for genre in (COMPOSED, DECOMPOSED, f" {DECOMPOSED.upper()} "):
        assert shown(reader, options=RequestOptions(genres=(genre,))) == set(FUNNY)
    for language in ("zh", "ZH-hant", "zh_Hant", " zh-Hant"):
        assert len(shown(reader, options=RequestOptions(languages=(language,)))) == 15


def test_a_cap_counts_every_form_of_a_label(folder: Path, tmp_path: Path) -> None:
    reader = Reader.open_bundle(folder, check=False)
    assert len(reader.recommend(k=30, options=RequestOptions(max_per_creator=2))) == 2
    options = RequestOptions(genres=(COMPOSED,), max_per_genre=2)
    assert len(reader.recommend(k=30, options=options)) == 2
    capped = ruled(folder, tmp_path / "ruled", ("max_per_genre", f"genre:{DECOMPOSED.upper()}", 2.0))
    assert len(shown(capped) & set(FUNNY)) == 2 and len(shown(capped)) == 26


def test_a_language_is_hidden_with_its_regions_however_it_is_written(folder: Path, tmp_path: Path) -> None:
    reader = ruled(folder, tmp_path / "ruled", ("hide", "language:ZH_hant", None))
    assert reader.standing().hidden.sum() == 15


def test_rules_that_match_nothing_are_known(folder: Path, tmp_path: Path) -> None:
    rules = [("hide", "genre:Com\u00e8die", None), ("hide", f"genre:{DECOMPOSED}", None), ("max_per_genre", None, 5.0)]
    reader = ruled(folder, tmp_path / "ruled", *rules)
    assert reader.rules is not None
    assert [str(each) for each in reader.rules.unmatched] == ["hide genre:com\u00e8die"]
