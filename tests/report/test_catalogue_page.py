"""The page of what was understood: what the files say, with its pictures inside, the same each time."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from nightreel.report.catalogue import nearest_items
from nightreel.report.catalogue.item_cards import chosen
from nightreel.report.catalogue.map import colours, drawn_rows
from nightreel.report.catalogue.page import write_understanding
from nightreel.report.catalogue.tables import read_catalogue
from nightreel.report.paths import understanding_path
from tests.report.test_page import OVERLAPS
from tests.report.understood_files import N, size, write_understood

EVIL = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;Sons&quot;"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The page, data and metrics."""
    folder = tmp_path_factory.mktemp("understood")
    data, metrics = write_understood(folder)
    page = write_understanding(data, metrics, folder / "state")
    assert page == understanding_path(folder / "state", "abc123" * 8)
    return page, data, metrics


def test_it_shows_each_field_of_an_item_and_what_is_near(written: tuple[Path, Path, Path]) -> None:
    page = written[0].read_text("utf-8")
    said = [f"1. {EVIL}", "speech 90%, music 10%", "1:01</small> Good evening.", "rocket", "podcast · fr", "87%"]
    assert [each for each in said if each not in page] == []
    assert page.index("no transcript: no speech found") > page.index("podcast · fr")
    assert "both Sci-Fi, Drama; about rocket" in page and "other medium: podcast; other language: fr" in page
    assert "&#x27;Ned&#x27; is not in the text" in page and "0.765" in page
    assert '<td>unclear</td><td class="number">10</td><td class="number">50.0%</td>' in page
    assert "mean sentiment +0.42 of 17 in English" in page and "rank correlation with the ratings is 0.63" in page
    assert "31% got a label, of which 85% were correct" in page and "negative (-0.61)" in page
    assert '<td>keywords</td><td class="number">23</td><td class="number">95.8%</td><td>mini</td>' in page


def test_pictures_are_inside_and_nothing_is_fetched_or_run(written: tuple[Path, Path, Path]) -> None:
    page = written[0].read_text("utf-8")
    pictures = re.findall(r'src="([^"]*)"', page)
    assert len(pictures) == 3, "every second of six frames"
    assert {size(base64.b64decode(each.removeprefix("data:image/jpeg;base64,"))) for each in pictures} == {(160, 90)}
    assert not re.search(r"<script|https?://|url\(|@import|onclick", page)
    assert {each[0] for each in re.findall(r'href="([^"]*)"', page)} == {"#"}


def test_the_map_has_a_dot_for_each_item_with_a_vector_and_a_legend(written: tuple[Path, Path, Path]) -> None:
    page, data, metrics = written
    text = page.read_text("utf-8")
    assert len(re.findall(r"<circle cx=\"[\d.]+\" cy=\"[\d.]+\"><title>", text)) == N - 1
    assert 'id="only-0">' in text and "Western <small>11</small>" in text and "Drama <small>0" not in text
    rings = re.findall(r'<a href="#item-(\d+)">', text)
    assert sorted(map(int, rings)) == list(range(1, 13)), "an item without a vector is no sample of richness"
    again = write_understanding(data, metrics, page.parents[3] / "again")
    assert again is not None and again.read_bytes() == page.read_bytes()


def test_samples_show_every_kind_of_item_the_richest_first(written: tuple[Path, Path, Path]) -> None:
    catalogue = read_catalogue(*written[1:])
    assert catalogue is not None
    rows = chosen(catalogue)
    assert rows[:2] == [0, 2] and len(rows) == 12 and 3 not in rows


def test_where_nothing_was_understood_there_is_no_page(tmp_path: Path) -> None:
    assert write_understanding(tmp_path, tmp_path, tmp_path / "state") is None


def test_nearest_is_exact_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    wanted = [np.argsort(-cosines[row])[:4].tolist() for row in (0, 7, 49)]
    for block in (50, 8, 1):
        monkeypatch.setattr(nearest_items, "BLOCK", block)
        found = nearest_items.nearest(vectors, [0, 7, 49], 4)
        assert [[each.row for each in own] for own in found] == wanted
        assert found[0][0].cosine == pytest.approx(cosines[0].max())


def test_an_item_has_the_colour_of_its_rarest_coloured_genre() -> None:
    labels = [("Drama", "War"), ("Drama",), ("Drama", "War"), ("Opera",), ()]
    names, group = colours(labels)
    assert names == ["Drama", "War", "Opera", "other"] and group == [1, 0, 1, 2, 3]


def test_a_large_catalogue_is_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightreel.report.catalogue.map.MOST", 5)
    vectors = np.ones((101, 2), np.float32)
    vectors[50] = 0
    assert drawn_rows(vectors, [50, 3]) == [0, 3, 25, 51, 75, 100]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_and_the_page_never_scrolls_sideways(
    written: tuple[Path, Path, Path], width: int, scheme: str
) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "the pages are looked at in Chromium: install it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(written[0].as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS) == []
        page.check("#only-0")
        assert page.evaluate("getComputedStyle(document.querySelector('g.d1')).opacity") == "0.12"
        browser.close()
