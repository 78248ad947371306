"""The report's section on logs: off-policy estimates and A/B results, or why they were not measured."""

from __future__ import annotations

from typing import Any

from nightreel.report.charts import interval, span
from nightreel.report.markup import Markup, caption, section, table, tag, with_code
from nightreel.report.run_files import Row, RunFacts

ESTIMATES = {
    "logged": "logging policy, as observed",
    "ips": "challenger, IPS",
    "snips": "challenger, SNIPS",
    "dr": "challenger, doubly robust",
}


def logs(facts: RunFacts) -> Markup:
    """Off-policy estimates and A/B test."""
    measured: Row = facts.documents.get("evaluate/logs", {})
    if not measured:
        return Markup("")
    return section(
        "Online logs: off-policy estimates and A/B test",
        tag("h3", "Off-policy estimates"),
        *_estimates(measured["off_policy"], facts.served),
        tag("h3", "A/B test"),
        *_experiment(measured["experiment"]),
    )


def _estimates(estimates: Row, served: str) -> list[Markup]:
    if estimates["why"]:
        return [tag("p", "Not measured: ", with_code(estimates["why"]), ".")]
    found = {name: estimates[name] for name in ESTIMATES}
    scale = span([(each["low"], each["high"]) for each in found.values()], 0.0)
    rows = [
        [
            label.replace("challenger", served),
            f"{each['point']:.4f}",
            f"{each['low']:.4f}–{each['high']:.4f}",
            interval(each["low"], each["point"], each["high"], scale),
        ]
        for name, label in ESTIMATES.items()
        for each in [found[name]]
    ]
    explained = caption(
        f"Responses per position in a list of {estimates['places']}, from {estimates['impressions']:,} impressions in "
        f"{estimates['slates']:,} slates of {estimates['users']:,} users. Effective sample size: "
        f"{estimates['effective']:,.0f}. The log supports {estimates['support']['point']:.0%} of the evaluated "
        "recommendations."
    )
    return [table(["policy", "responses", "95% interval", ""], rows, (1, 2)), explained]


def _experiment(test: Row) -> list[Markup]:
    sizes = "; ".join(f"{name}: {count:,} users" for name, count in test.get("users", {}).items())
    head = [tag("p", f"{sizes}; {test['crossed']:,} users were in several arms and are excluded.")] if sizes else []
    if test["why"]:
        return [*head, tag("p", "Not measured: ", with_code(test["why"]), ".")]
    explained = caption(
        "Always-valid intervals (confidence sequences): they may be read every night, and the test may be stopped at "
        f"any time. Sample ratio mismatch test: p = {test['ratio_p']:.3g}."
    )
    names = ["outcome", "arm", f"control ({test['control']})", "arm's value", "difference", "interval", ""]
    rows = [_outcome(each) for each in test["outcomes"] if not each["why"]]
    lacking = [
        tag("li", with_code(f"{e['outcome']} of {e['arm']}: not measured: {e['why']}"))
        for e in test["outcomes"]
        if e["why"]
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
