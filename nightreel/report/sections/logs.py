"""From logs: off-policy estimates and an experiment's read-out, or why they are not measured."""

from __future__ import annotations

from typing import Any

from nightreel.report.charts import interval, span
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

ESTIMATES = {
    "logged": "logging policy, as it was",
    "ips": "challenger, IPS",
    "snips": "challenger, SNIPS",
    "dr": "challenger, doubly robust",
}


def logs(facts: RunFacts) -> Markup:
    """Both parts."""
    told: Row = facts.documents.get("evaluate/logs", {})
    if not told:
        return Markup("")
    return section(
        "From logs",
        tag("h3", "Off-policy estimates"),
        *_estimates(told["off_policy"]),
        tag("h3", "Experiment"),
        *_experiment(told["experiment"]),
    )


def _estimates(told: Row) -> list[Markup]:
    if told["why"]:
        return [tag("p", "Not measured: ", told["why"], ".")]
    found = {name: told[name] for name in ESTIMATES}
    scale = span([(each["low"], each["high"]) for each in found.values()], 0.0)
    rows = [
        [
            label,
            f"{each['point']:.4f}",
            f"{each['low']:.4f}–{each['high']:.4f}",
            interval(each["low"], each["point"], each["high"], scale),
        ]
        for name, label in ESTIMATES.items()
        for each in [found[name]]
    ]
    explained = caption(
        f"Responses per place of a list of {told['places']}, from {told['impressions']:,} impressions in "
        f"{told['slates']:,} slates of {told['users']:,} users; effective sample {told['effective']:,.0f}; the log "
        f"speaks for {told['support']['point']:.0%} of what would be shown."
    )
    return [table(["policy", "responses", "95% interval", ""], rows, (1, 2)), explained]


def _experiment(told: Row) -> list[Markup]:
    sizes = "; ".join(f"{name}: {count:,} users" for name, count in told.get("users", {}).items())
    head = [tag("p", f"{sizes}; {told['crossed']:,} users were in several and are left out.")] if sizes else []
    if told["why"]:
        return [*head, tag("p", "Not measured: ", told["why"], ".")]
    explained = caption(
        "Intervals that hold on every night at once: it may be looked at, and stopped on, at any time. Sample ratio "
        f"check: p = {told['ratio_p']:.3g}."
    )
    names = ["outcome", "arm", told["control"], "arm's", "difference", "interval", ""]
    rows = [_outcome(each) for each in told["outcomes"] if not each["why"]]
    lacking = [
        tag("li", f"{e['outcome']} of {e['arm']}: not measured: {e['why']}") for e in told["outcomes"] if e["why"]
    ]
    return [
        *head,
        table(names, rows, (2, 3, 4)) if rows else Markup(""),
        tag("ul", *lacking) if lacking else Markup(""),
        explained,
    ]


def _outcome(each: Row) -> list[Any]:
    sure = "better" if each["low"] > 0 else "worse" if each["high"] < 0 else ""
    state = tag("span", sure, class_="passed" if sure == "better" else "failed") if sure else ""
    bounds = f"{each['low']:+.4f} to {each['high']:+.4f}"
    return [
        each["outcome"],
        each["arm"],
        *(f"{each[n]:.4f}" for n in ("control_value", "arm_value")),
        f"{each['point']:+.4f}",
        bounds,
        state,
    ]
