"""The pages of the status and of a replay: they say what is known, and show every night."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.segments.new_item_lines import ItemLine, ItemStep
from nightreel.evaluation.segments.reach_curve import ReachPoint
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.expected import Expected
from nightreel.monitoring.night import Night, Outcome
from nightreel.monitoring.status import LiveVersion, PipelineStatus
from nightreel.report import document
from nightreel.report.night_chart import SIGNS, NightPoint, night_chart
from nightreel.report.nights import replay_page, status_page
from nightreel.report.nights.replay_page import ReplayFacts
from nightreel.report.sections.new_items import conclusion
from tests.report.test_page import Outline

THREE, DAY = 1_767_236_400.0, 86_400.0  # 2026-01-01, 3:00
OUTCOMES: tuple[Outcome, ...] = ("failed", "promoted", "refreshed", "rejected", "unchanged", "promoted")
"""The latest first."""


def some_nights() -> tuple[Night, ...]:
    return tuple(
        Night(
            id=f"n{number}",
            began=THREE - number * DAY,
            ended=THREE - number * DAY + 930,
            trigger="schedule",
            outcome=outcome,
            failed_stage="finetune" if outcome == "failed" else None,
            reason="no <space> left" if outcome == "failed" else "as usual",
            version=None if outcome == "failed" else f"{number}abc" * 10,
            metric="" if outcome == "failed" else "NDCG@10 (global_time)",
            quality=None if outcome == "failed" else (0.14 - number / 100, 0.13 - number / 100, 0.15 - number / 100),
            rows={"events": 100_000, "quarantined": 12},
        )
        for number, outcome in enumerate(OUTCOMES)
    )


def bad_status() -> PipelineStatus:
    alerts = (
        Alert("night", "n0", "the night failed at finetune: no <space> left.", "Free some space: nightreel run."),
        Alert("record", "", "1 run waits to be recorded in MLflow.", "The next run tries again.", urgent=False),
    )
    live = LiveVersion("1abc" * 10, "promoted", THREE - DAY, {"blocked": 3, "users": 0})
    plan = Expected(due=THREE + DAY, next=THREE + DAY)
    return PipelineStatus(THREE + 3600, "live", live, some_nights(), plan, alerts)


def outlined(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    assert not found.open, "every tag is closed"
    assert not [name for name, _ in found.attributes if name in ("src", "onclick")], "nothing comes from outside"
    return found


def test_the_status_page_begins_with_what_is_wrong() -> None:
    words = " ".join(outlined(status_page.page(bad_status())).words)
    order = ["2026-01-01 04:00 UTC", "1 thing needs a person", "The night failed at finetune: no <space> left."]
    order += ["Free some space: nightreel run.", "1 run waits", "1abc1abc1abc", "live on channel live", "25 h old"]
    order += ["failed", "last night", "2026-01-02 03:00", "next night", "3 blocked", "withdrawn"]
    order += ["NDCG@10 (global_time)", "2026-01-01 03:00", "schedule", "16 min", "at finetune: no <space> left"]
    order += ["2025-12-31 03:00", "promoted", "0.1300", "100,000", "12", "as usual"]
    at = 0
    for said in order:
        assert said in words[at:], said
        at = words.index(said, at)


def test_the_status_page_of_a_state_where_nothing_has_happened_yet() -> None:
    words = " ".join(outlined(status_page.page(PipelineStatus(THREE, "live", None, (), None, ()))).words)
    assert "All is well" in words and "No night has run yet." in words and "Quality by night" not in words


def test_a_night_without_a_figure_is_marked_but_has_no_dot() -> None:
    drawn = status_page.quality(some_nights())
    assert drawn.count('class="dot"') == 5 and drawn.count('class="bar"') == 5
    assert [drawn.count(f'class="sign {sign}"') for sign in SIGNS] == [2, 2, 2]
    assert "2026-01-01 03:00 UTC: failed" in drawn


def replayed(**more: Any) -> ReplayFacts:
    rows: list[dict[str, Any]] = [
        {
            "night": f"2026-01-0{number}T03:00:00Z", "decision": decision, "outcome": None, "troubles": troubles,
            "version": f"{number}" * 64, "users": 900, "own": 0.04 + number / 1000, "base": 0.03, "seconds": 200.0,
            "reason": "because", "error": None,
        }
        for number, (decision, troubles) in enumerate(
            [("promote", []), ("reject", ["bot"]), ("failed", ["kill -9"]), ("promote", [])], 1
        )
    ]  # fmt: skip
    interval = Interval(0.042, 0.04, 0.044)
    given: dict[str, Any] = {
        "source": "films <1>", "step": "24 h", "rows": rows, "intervals": [interval, interval, None, interval],
        "own": "own", "beside": {"base": "recent popularity"}, "means": {"own": interval, "base": Interval(0.03, 0.02, 0.04)},
        "differences": {"base": Interval(0.012, 0.01, 0.014)},
    }  # fmt: skip
    return ReplayFacts(**(given | more))


def test_the_page_of_a_replay_says_what_the_table_says() -> None:
    page = replay_page.page(replayed())
    words = " ".join(outlined(page).words)
    order = [
        "Nightreel replay of films <1>",
        "4 nights, 2026-01-01 to 2026-01-04",
        "0.0420",
        "+40%",
        "recent popularity",
    ]
    order += ["2 of 4", "Compared", "+0.0120", "+0.0100 to +0.0140", "2026-01-02 03:00", "reject, after bot", "0.0420"]
    at = 0
    for said in order:
        assert said in words[at:], said
        at = words.index(said, at)
    assert page.count('class="dot"') == 4 + 1 and page.count('class="sign bad"') == 1


def test_the_page_of_a_replay_shows_how_far_new_items_reach() -> None:
    below, level = Interval(0.4, 0.2, 0.7), Interval(0.95, 0.8, 1.2)
    points = [ReachPoint(0, 9, 30, 6, 30, 15.0, below, 0.02, 0.1), ReachPoint(5, 8, 20, 9, 20, 9.5, level, 0.03, 0.1)]
    step = ItemStep("2026-01-01T03:00:00Z", 0, 7, 1, 3.1)
    lines = [ItemLine("i1", [step, ItemStep("2026-01-02T03:00:00Z", 7, 3, 2, 1.5)]), ItemLine("i2", [step])]
    page = replay_page.page(replayed(new_items=points, item_lines=lines, titles={"i1": "Brazil <2>"}))
    words = " ".join(outlined(page).words)
    for said in (
        "From 5 events on, new items are not surely reached less often than old items that as many people took.",
        "0 9 30 6 15.0 of 30 0.40 0.20 to 0.70 2.0% 10.0%", "5–9 8 20 9 9.5 of 20 0.95 0.80 to 1.20",
        "Brazil <2> 10 3 7 0: 1/7 · 7: 2/3", "i2 7 1 not yet 0: 1/7",
    ):  # fmt: skip
        assert said in words, said
    assert page.count('class="dot"') == 4 + 1 + 2 and page.count('class="bar"') == 3 + 1 + 2
    assert "New items" not in " ".join(outlined(replay_page.page(replayed())).words)


def test_the_conclusion_names_what_is_known() -> None:
    def point(events: int, high: float | None) -> ReachPoint:
        return ReachPoint(events, 9, 9, 5, 9, 9.0, None if high is None else Interval(0.5, 0.1, high), 0.1, 0.1)

    assert conclusion([point(0, None)]).startswith("Too few new items")
    assert conclusion([point(0, 1.0), point(1, 2.0)]).startswith(
        "No new items, by the events that they had, are surely"
    )
    assert conclusion([point(0, 0.9), point(1, 1.1), point(2, None)]).startswith("From 1 event on")
    assert conclusion([point(0, 1.1), point(1, 0.9), point(2, None)]).startswith("With 1 events, the most")


def test_a_replay_that_served_nothing_has_a_page() -> None:
    rows = [{**row, "own": None, "version": None} for row in replayed().rows]
    facts = replayed(rows=rows, intervals=[None] * 4, means={}, differences={})
    words = " ".join(outlined(replay_page.page(facts)).words)
    assert "0 of 4" not in words and "2 of 4" in words and "Quality by night" not in words and "none" in words


def test_a_baseline_without_a_value_breaks_its_line() -> None:
    points = [NightPoint(f"0{n}", 0.1, beside={"b": None if n == 2 else 0.1}) for n in range(5)]
    assert len(re.findall("<polyline", night_chart(points, "NDCG@10", "own"))) == 2
    assert night_chart(points[:1], "NDCG@10", "own") == ""


def test_a_page_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "status.html"
    for page in ("first", "second"):
        document.write(page, path)
        assert path.read_text() == page and [each.name for each in path.parent.iterdir()] == ["status.html"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_they_fit_the_screen(width: int, scheme: Any, tmp_path: Path) -> None:
    """NIGHTREEL_SHOTS=folder keeps the pictures."""
    from playwright.sync_api import sync_playwright

    from tests.end_to_end.foreign_page import chromium

    shots = Path(os.environ.get("NIGHTREEL_SHOTS", tmp_path))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        for name, content in (("status", status_page.page(bad_status())), ("replay", replay_page.page(replayed()))):
            page.set_content(content)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            scale = "Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b)"  # of turned text, too
            small = f"e => parseFloat(getComputedStyle(e).fontSize) * {scale} < 9"
            assert page.evaluate(f"[...document.querySelectorAll('svg text')].filter({small}).length") == 0, name
            page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
        browser.close()
