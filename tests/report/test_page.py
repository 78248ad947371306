"""The page: it says what the files say, needs nothing from outside, and can be read by everybody."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import pytest

from nightreel.report import charts, style
from nightreel.report.page import write_report
from nightreel.report.paths import report_path
from tests.report.run_files import write_run

STAGES = ("snapshot", "finetune", "evaluate", "refit")
ALONE = {"meta", "line", "circle", "polyline"}


class Outline(HTMLParser):
    """Open tags, text, and what does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        assert tag not in ("script", "link", "img", "iframe"), tag
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def outline(tmp_path: Path) -> Outline:
    found = Outline()
    found.feed(write_report(*write_run(tmp_path), STAGES).read_text("utf-8"))
    assert not found.open
    return found


def test_it_says_what_the_files_say_the_verdict_first(outline: Outline) -> None:
    words = " ".join(outline.words)
    order = ["Reject: broken slice", "NDCG@10 +1.2% against champion", "lower bound ≥ -3.0%", "1,500"]
    order += ["1 of 2 slices broken", "-20.0%", "no significant loss beyond -3.0%", "12.3%", "Overridden by Ann"]
    order += ["Challenger against champion", "-0.2000", "Members against the blend", "-4.0%"]
    order += ["943 ratings of 941 users", "0.9792", "0.9963", "-0.0171", "not measured: no ratings.", "-5.0%"]
    order += ["a fan gets it", "failed", "not applicable", "encoder: loss", "25.0%"]
    order += ["serendipity (needs popularity among the members)", "miscalibration, nats (needs genres of the items)"]
    order += [
        "user, 0 events known",
        "From 2 events on, new items are not surely",
        "44.4 of 88 0.45 0.30 to 0.61 3.1% 25.0%",
    ]
    order += ["0: 3/9 · 4: 2/2", "PSI 0.310 of 900 values", "1 statistic without drift"]
    order += ["challenger, doubly robust", "60 users; 0 users were in several arms", "+0.0400 to +0.1600"]
    order += ["retention of B: not measured: there is no clock"]
    order += ["Latest 1 of 12 events", "Because you watched B", "60%", "member ease", "+0.71"]
    order += ["violin", "990", "research only", "112.9", "Reading the final bundle: 5.9 ms per list, 141 MB of memory"]
    at = words.index("Gate rules Challenger") + len("Gate rules Challenger")  # after the links to the sections
    assert "Reject: broken slice" in words[:at] and "+1.2%" in words[:at]
    for said in order[1:]:
        assert said in words[at:], said
        at = words.index(said, at)
    assert "7 users" in words
    assert "3 configurations" in words
    assert "leave_last_out: not measured, there are no test users" in words
    assert words.count("not measured") == 4, "a protocol, its ratings, a slice against the champion, an outcome"


def test_on_a_narrow_screen_a_row_keeps_its_name_and_its_details_stand_below_it(outline: Outline) -> None:
    heads = [word for word in outline.words if word in ("details", "compared with")]
    assert heads == [], "a column of sentences can only be read by scrolling sideways"
    assert "position:sticky;left:0" in style.css().partition("@media (max-width:40rem)")[2]


def test_it_needs_nothing_from_outside(outline: Outline) -> None:
    assert not [name for name, _ in outline.attributes if name in ("src", "onclick", "onload")]
    links = [value for name, value in outline.attributes if name == "href"]
    places = {f"#{value}" for name, value in outline.attributes if name == "id"}
    assert len(links) > 8 and set(links) <= places
    assert not re.search(r"https?://|url\(|@import", style.css())


def test_titles_are_text_whatever_they_hold(outline: Outline) -> None:
    assert "".join(outline.words).count("<script>alert('x')</script> & \"Sons\"") == 9


def test_a_run_of_which_little_is_known_has_a_page_all_the_same(tmp_path: Path) -> None:
    page = write_report(tmp_path / "none", tmp_path / "state", STAGES)
    assert page == report_path(tmp_path / "state", "")
    assert "No decision" in page.read_text("utf-8")
    data, state = write_run(tmp_path)
    (data / "evaluate" / "report.json").write_text("{")
    assert "Reject: broken slice" in write_report(data, state, STAGES).read_text("utf-8")


def test_a_mark_shows_the_interval_and_is_cut_off_at_the_edge() -> None:
    mark = charts.interval(0.0, 0.5, 2.0, (0.0, 1.0), zero=0.0)
    width = charts.MARK[0]
    assert f'x1="4.0" x2="{width - 4:.1f}" y1="9.0"' in mark
    assert f'cx="{width / 2:.1f}"' in mark


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(0, 0.205, (0, 0.3, 0.1)), (0.145, 0.161, (0.145, 0.165, 0.005)), (0, 1, (0, 1, 0.25)), (2, 2, (2, 2.25, 0.25))],
)
def test_an_axis_has_round_ticks(low: float, high: float, ends: tuple[float, float, float]) -> None:
    assert charts.scale(low, high) == pytest.approx(ends)


def test_lines_run_from_corner_to_corner_and_a_single_point_draws_none() -> None:
    drawn = charts.lines({"a": [(0, 0.0), (2, 1.0)], "b": [(0, 1.0)]}, "x", "y")
    corner = f"{charts.LEFT:.1f},{charts.HEIGHT - charts.BOTTOM:.1f} {charts.WIDTH - charts.RIGHT:.1f},{charts.TOP:.1f}"
    assert f'points="{corner}"' in drawn
    assert drawn.count("<polyline") == 1
    assert charts.lines({"b": [(0, 1.0)]}, "x", "y") == ""


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_meets_aa_in_light_and_dark() -> None:
    schemes = [dict(re.findall(r"--(\w+):(#\w+)", block)) for block in re.findall(r":root{([^}]*)}", style.css())]
    assert len(schemes) == 2
    for scheme, strokes in zip(schemes, (style.LIGHT, style.DARK), strict=True):
        for ink in ("ink", "quiet", "good", "bad", "warn", "accent"):
            for ground in ("page", "box"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
        for stroke in strokes:
            assert contrast(stroke, scheme["page"]) >= 3, stroke


CONTRASTS = """() => {
  const part = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number); return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.includes('rgba')) return c; } return 'rgb(255, 255, 255)'; };
  const found = new Map();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.tagName === 'title') continue;
    const style = getComputedStyle(e);
    const [a, b] = [e.closest('svg') ? style.fill : style.color, ground(e)];
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    found.set(a + ' on ' + b, (high + 0.05) / (low + 0.05));
  }
  return [...found];
}"""


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('svg text, h1, h2, h3, h4, dt, dd, p, li, td, th, .tile, .cloud span')]
    .filter(e => !e.closest('nav') && !e.querySelector('p, h3, h4, .cloud span'))
    .map(e => [e.textContent, e.getBoundingClientRect(), e.closest('.scroll, svg')])
    .filter(([t, b]) => t.trim() && b.width && b.height);
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [s, a, p] = boxes[i], [t, b, q] = boxes[j];
    if (p !== q) continue;
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) found.push(s + ' | ' + t);
  }
  return found;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_and_the_page_never_scrolls_sideways(tmp_path: Path, width: int, scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    path = write_report(*write_run(tmp_path), STAGES)
    chromium = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "the pages are looked at in Chromium: install it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS) == []
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 5 and [each for each in contrasts if each[1] < 4.5] == []
        browser.close()
