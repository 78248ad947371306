"""The explorer in a real browser, at 1,280 and 390 px, dark and light, by mouse and by keyboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pyarrow as pa
import pytest

from nightreel.bundle import editorial_rules
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.served import serve
from tests.support.bundles import lineage, reseal, write_bundle

pytestmark = pytest.mark.browser

# Least contrast of all text with what is painted behind it (WCAG 2, 1.4.3): {ratio: text}.
CONTRAST = """() => {
  const lit = (c) => c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (c) => { const [r, g, b] = lit(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("[aria-hidden=true], .skip, datalist, option")) continue;
    let behind = element, back = [0, 0, 0, 0];
    while (behind && (back[3] ?? 1) === 0) { back = parse(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
    const style = getComputedStyle(element), [a, b] = [light(parse(style.color)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), element.tagName, element.textContent.slice(0, 40)]);
  }
  return poor;
}"""

# Pairs of controls, cards and panels that lie over each other without one holding the other.
OVERLAPS = """() => {
  const parts = [...document.querySelectorAll("header > *, .panel, .card, button, input, select, .card h2, .card p")]
    .filter((e) => e.checkVisibility() && !e.closest(".found, .history, .skip"));
  const found = [];
  for (const [i, a] of parts.entries()) for (const b of parts.slice(i + 1)) {
    if (a.contains(b) || b.contains(a)) continue;
    const x = a.getBoundingClientRect(), y = b.getBoundingClientRect();
    const wide = Math.min(x.right, y.right) - Math.max(x.left, y.left);
    const high = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
    if (wide > 1 && high > 1) found.push([a.outerHTML.slice(0, 60), b.outerHTML.slice(0, 60)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def url(store: LocalStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(store.uri, tmp_path_factory.mktemp("state")) as served:
        yield served.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "Chromium is not installed: run ./check, or apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose store has a canary with other answers."""
    root = tmp_path_factory.mktemp("two")
    store = LocalStore(root / "store")
    for name, users in (("live", 40), ("canary", 12)):
        write_bundle(root / name, users=users, seed=users)
        publish(store, root / name, channel=name, champion=None, lineage=lineage(name))
    channels.set_share(store, "canary", 0.1)
    with serve(store.uri, root / "state") as served:
        yield served.url


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """At 1,280 px, light; fails for whatever the page reports."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.goto(url)
    opened.wait_for_selector(".card")
    yield opened
    assert not faults
    opened.close()


def titles(page: Any) -> list[str]:
    return [str(each) for each in page.eval_on_selector_all(".card", "cards => cards.map(c => c.dataset.item)")]


def changed(page: Any, before: list[str]) -> list[str]:
    page.wait_for_function(
        "before => { const now = [...document.querySelectorAll('.card')].map(c => c.dataset.item);"
        " return now.length && now.join() !== before; }", arg=",".join(before), timeout=5000,
    )  # fmt: skip
    return titles(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_and_all_is_legible(browser: Any, url: str, width: int, theme: str, tmp_path: Path) -> None:
    """NIGHTREEL_SHOTS=folder keeps the pictures."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.goto(url)
    page.wait_for_selector(".card")
    page.get_by_role("button", name="Like: ").first.click()
    page.wait_for_selector("#visited button")
    page.get_by_role("button", name="Why: ").nth(1).click()
    page.wait_for_selector("#detail .bar")
    page.fill("#search", "space stroy")
    page.wait_for_selector("#found button")
    shots = Path(os.environ.get("NIGHTREEL_SHOTS", tmp_path))
    page.screenshot(path=shots / f"explorer-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    page.wait_for_timeout(200)  # colours fade in
    assert page.evaluate(CONTRAST) == []
    page.close()


def test_a_user_their_history_and_reasons(page: Any) -> None:
    page.fill("#user", "u001")
    page.press("#user", "Enter")
    page.wait_for_function("() => document.getElementById('list-heading').textContent.endsWith('u001')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.card h2')].slice(0, 5).every(h => h.textContent.includes('Space'))"
    )
    assert page.locator("#history li").count() == 8
    page.get_by_role("button", name="Where space opera comes from").click()
    assert page.locator("#interest-from").inner_text() == "space opera, from search: space opera"
    assert "Because you played Space story" in " ".join(page.locator(".card .why").all_text_contents())
    page.get_by_role("button", name="Why: ").first.click()
    page.wait_for_selector("#detail .bar")
    assert "Rank without this item in the history" in page.locator("#detail").inner_text()
    page.get_by_role("button", name="Similar to: ").first.click()
    page.wait_for_selector("#detail .near")
    assert page.locator("#detail .near").count() == 10


def test_likes_skips_and_sliders_move_the_list_at_once(page: Any) -> None:
    before = titles(page)
    page.get_by_role("button", name="Skip: ").first.click()
    after = changed(page, before)
    assert before[0] not in after and page.locator("#visited .skipped").count() == 1
    page.get_by_role("button", name="Start over").click()
    page.wait_for_function("document.querySelectorAll('#visited .skipped').length === 0")
    assert titles(page) == after  # the service was told of the skip, which counts from then on
    page.locator("#diversity").fill("100")
    spread = changed(page, after)
    assert page.locator("#diversity-value").inner_text() == "100%"
    page.locator("#diversity").fill("0")
    assert changed(page, spread) == after
    page.select_option("#genre", "Sci-Fi")
    changed(page, after)
    assert all("Space" in text for text in page.locator(".card h2").all_text_contents())


@pytest.mark.parametrize("width", [1280, 390])
def test_champion_and_canary_side_by_side(browser: Any, two: str, width: int, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="light")
    page.goto(two)
    page.wait_for_selector(".card")
    assert page.locator("#rival .card").count() == 0
    page.focus("#beside")
    page.keyboard.press("ArrowDown")  # by keyboard alone
    page.wait_for_selector("#rival .card")
    assert page.locator("#rival-heading").inner_text().startswith("canary · version ")
    assert page.locator("#rival-heading").inner_text().endswith("10% of users")
    lists = [
        page.eval_on_selector_all(f"#{name} .card", "c => c.map(e => e.dataset.item)") for name in ("list", "rival")
    ]
    assert len(lists[0]) == len(lists[1]) == 12 and lists[0] != lists[1]
    both = set(lists[0]) & set(lists[1])
    same = sum(a == b for a, b in zip(*lists, strict=True))
    assert (
        page.locator("#compared").inner_text() == f"{len(both)} of 12 items are in both lists, {same} at the same rank"
    )
    told = page.locator("#list .place").all_text_contents()
    for item, text in zip(lists[0], told, strict=True):
        place = lists[1].index(item) + 1 if item in both else None
        here = lists[0].index(item) + 1
        assert text == ("only in this list" if place is None else "same rank" if place == here else
                        f"{'▲' if place > here else '▼'} rank {place} in the other list")  # fmt: skip
    boxes = [page.locator(f"#{name}").bounding_box() for name in ("list", "rival")]
    assert (boxes[0]["y"] == boxes[1]["y"]) is (width == 1280)
    page.screenshot(path=Path(os.environ.get("NIGHTREEL_SHOTS", tmp_path)) / f"beside-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width and page.evaluate(OVERLAPS) == []
    page.wait_for_timeout(200)
    assert page.evaluate(CONTRAST) == []
    before = page.eval_on_selector_all("#rival .card", "c => c.map(e => e.dataset.item)")
    page.locator("#rival .card button").first.click()  # a like moves both lists
    page.wait_for_function(
        "b => ![...document.querySelectorAll('.card')].some(c => c.dataset.item === b)", arg=before[0]
    )
    page.select_option("#beside", "")
    page.wait_for_selector("#rival-box", state="hidden")
    page.close()


def test_somebody_invented(page: Any) -> None:
    page.get_by_role("button", name="Custom history").click()
    page.wait_for_function("() => document.getElementById('list-heading').textContent === 'Popular now'")
    popular = titles(page)
    page.fill("#search", "spcae story 7")
    page.get_by_role("button", name="Add Space story 7").click()
    first = changed(page, popular)
    assert page.locator("#history li").count() == 1 and "i007" not in first
    page.get_by_role("button", name="Remove Space story 7").click()
    assert changed(page, first) == popular


def test_everything_is_reached_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {
        "theme",
        "known",
        "user",
        "search",
        "history",
        "diversity",
        "freshness",
        "genre",
        "age",
        "Like",
        "Why?",
    } <= set(reached)
    before = titles(page)
    page.focus("#freshness")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    fresh = changed(page, before)
    page.locator(".card button").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    changed(page, fresh)
    page.wait_for_function("document.activeElement.id === 'list-heading'")


def test_an_audience_is_named_by_keyboard(page: Any) -> None:
    before = titles(page)
    page.get_by_label("Audience age").focus()
    page.keyboard.type("6")
    page.keyboard.press("Tab")
    after = changed(page, before)
    assert after and all(int(item[1:]) % 4 <= 1 for item in after)
    page.get_by_label("Audience age").fill("")
    page.keyboard.press("Tab")
    assert changed(page, after) == before


def test_the_theme_is_switched_and_kept(page: Any) -> None:
    page.get_by_role("button", name="Switch between dark and light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    page.wait_for_selector(".card")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_rules_that_match_nothing_are_named(browser: Any, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    rows = [{"rule": "hide", "target": "genre:Sci-Fy"}, {"rule": "pin", "target": "i001"}]
    editorial_rules.write(tmp_path / "bundle", pa.Table.from_pylist(rows, RULES_SCHEMA))
    reseal(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    with serve(store.uri, tmp_path / "state") as served:
        page = browser.new_page()
        page.goto(served.url)
        page.wait_for_selector("#unmatched:not([hidden])")
        told = page.text_content("#unmatched")
        assert told == "1 of 2 editorial rules match no item and have no effect: hide genre:sci-fy"
        page.close()
