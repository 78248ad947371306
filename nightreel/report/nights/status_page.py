"""The page of the nights: what is wrong and what to do, what is live, quality night by night, and every night."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.durations import in_words
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.night import GOOD, Night, minute
from nightreel.monitoring.status import PipelineStatus
from nightreel.report.document import document
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.night_chart import NightPoint, night_chart


def page(found: PipelineStatus) -> str:
    """Return the whole document."""
    wrong = sum(alert.urgent for alert in found.alerts)
    heading = "All is well" if not wrong else f"{wrong} {'thing needs' if wrong == 1 else 'things need'} a person"
    kicker = f"Nightreel status, {minute(found.at)} UTC"
    return document(kicker, heading, _top(found), [quality(found.nights), nights(found.nights)])


def _top(found: PipelineStatus) -> Markup:
    alerts = tag("div", *map(_alert, found.alerts)) if found.alerts else Markup("")
    return tag("div", alerts, tag("div", *_tiles(found), class_="tiles"))


def _alert(alert: Alert) -> Markup:
    kind = "reject" if alert.urgent else "hold"
    return tag("div", tag("p", tag("b", alert.sentence)), tag("p", alert.remedy), class_=f"verdict {kind}")


def _tiles(found: PipelineStatus) -> list[Markup]:
    live, plan = found.live, found.plan
    last = next((night for night in found.nights if night.outcome != "running"), None)
    age = "" if live is None or live.published is None else f"{in_words(found.at - live.published)} old"
    hidden = ", ".join(f"{count:,} {name}" for name, count in (live.withdrawn if live else {}).items() if count)
    coming, more = "not known", "Prefect's server was never asked (nightreel up)"
    if found.running:
        coming, more = found.running.day, "UTC"
    elif plan is not None:
        coming, more = ("paused", "in Prefect") if plan.paused else ("none is planned", "")
        if not plan.paused and plan.next is not None:
            coming, more = minute(plan.next), "UTC"
    return [
        _tile(live.version[:12] if live else "none", f"live on channel {found.channel}", age),
        _tile(last.outcome if last else "none", "last night", f"{last.day} UTC" if last else ""),
        _tile(coming, "running since" if found.running else "next night", more),
        _tile(hidden or "nothing", "withdrawn", ""),
    ]


def _tile(value: str, what: str, more: str) -> Markup:
    return tag("div", tag("b", value), tag("span", what), tag("small", more) if more else "", class_="tile")


def quality(nights: Sequence[Night]) -> Markup:
    """The candidates' quality, night by night."""
    metric = next((night.metric for night in nights if night.quality), "")
    measured = [night for night in reversed(nights) if night.outcome != "running" and night.metric in ("", metric)]
    points = [
        NightPoint(
            night.day[5:10],
            night.quality[0] if night.quality else None,
            night.quality[1:] if night.quality else None,
            {},
            sign_of(night.outcome),
            f"{night.day} UTC: {night.outcome}",
        )
        for night in measured
    ]
    chart = night_chart(points, metric.split(" ")[0], "the night's candidate")
    note = f"{metric}, measured before publication on held-out events: a promoted night was compared with the live one."
    return section("Quality by night", tag("div", chart, class_="chart"), caption(note)) if chart else Markup("")


def sign_of(outcome: str) -> str:
    """The chart's mark for an outcome."""
    return "good" if outcome == "promoted" else "same" if outcome in GOOD else "bad"


def nights(found: Sequence[Night]) -> Markup:
    """A row for each night, the latest first."""
    states = {"good": "passed", "same": "", "bad": "failed"}
    rows = [
        [
            f"{night.day}",
            tag(
                "span",
                night.outcome,
                class_=f"state {'' if night.outcome == 'running' else states[sign_of(night.outcome)]}",
            ),
            night.trigger,
            (night.version or "")[:12],
            f"{night.quality[0]:.4f}" if night.quality else "",
            "" if night.ended is None else in_words(night.ended - night.began),
            f"{night.rows.get('events', 0):,}" if night.rows else "",
            f"{night.rows.get('quarantined', 0):,}" if night.rows else "",
        ]
        for night in found
    ]
    reasons = [f"{f'at {night.failed_stage}: ' if night.failed_stage else ''}{night.reason}" for night in found]
    head = ["began, UTC", "outcome", "trigger", "version", "quality", "took", "events", "set aside"]
    return section("Nights", table(head, rows, (4, 5, 6, 7), reasons) if rows else caption("No night has run yet."))
