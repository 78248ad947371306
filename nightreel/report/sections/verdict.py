"""The first sections of the report: models, comparison with the champion, slices, behavioural tests, exposure."""

from __future__ import annotations

from typing import Any

from nightreel.report.charts import interval, span
from nightreel.report.markup import Markup, caption, explained, section, table, tag
from nightreel.report.run_files import Row, RunFacts
from nightreel.report.sections.decision import STATES
from nightreel.report.sections.slices import shown_slices


def models(facts: RunFacts) -> Markup:
    """NDCG@10 of every model with its interval, protocol by protocol."""
    parts: list[Markup] = []
    gate = facts.verdict.get("gate")
    for name, own in sorted(facts.report.get("protocols", {}).items(), key=lambda pair: (pair[0] != gate, pair[0])):
        found: Row = own["models"]
        if not found:
            parts.append(caption(f"{name}: not measured, there are no test users."))
            continue
        scale = span([(each["ndcg@10"][1], each["ndcg@10"][2]) for each in found.values()], 0.0)
        rows = [
            [
                model,
                f"{point:.4f}",
                f"{low:.4f}–{high:.4f}",
                *(f"{each[metric]:.4f}" for metric in ("recall@10", "hit_rate@10", "mrr@10")),
                interval(low, point, high, scale),
            ]
            for model, each in sorted(found.items(), key=lambda pair: -pair[1]["ndcg@10"][0])
            for point, low, high in [each["ndcg@10"]]
        ]
        decides = " · used by the gate" if name == gate else ""
        head = ["model", "NDCG@10", "95% interval", "recall@10", "hit rate@10", "MRR@10", ""]
        parts += [tag("h3", f"{name} · {own['users']:,} test users{decides}"), table(head, rows, (1, 2, 3, 4, 5))]
        if found.get("blend") and found.get("blend") == found.get("popularity"):
            same = "the selected ranker is popularity, so blend and popularity give the same lists."
            parts.append(caption(f"On this split {same}"))
    return section("Models", *parts)


def versus(facts: RunFacts) -> Markup:
    """Challenger against champion, metric by metric, over the same users."""
    found: list[Row] = facts.report.get("pairs", [])
    scale = span([(each["difference"]["low"], each["difference"]["high"]) for each in found], 0.0)
    rows = [
        [
            each["metric"],
            f"{each['challenger']['point']:.4f}",
            _bounds(each["challenger"]),
            f"{each['champion']['point']:.4f}",
            _bounds(each["champion"]),
            f"{each['difference']['point']:+.4f}",
            _bounds(each["difference"], "+.4f"),
            _paired(each["difference"], scale),
        ]
        for each in found
    ]
    head = ["metric", "challenger", "95% interval", "champion", "95% interval", "difference", "95% interval", ""]
    note = caption("Differences are paired: both recommend to the same users, and the bootstrap resamples users.")
    numbers = (1, 2, 3, 4, 5, 6)
    return section("Challenger against champion", table(head, rows, numbers), note) if rows else Markup("")


def _paired(found: Row, scale: tuple[float, float]) -> Markup:
    return interval(found["low"], found["point"], found["high"], scale, 0.0)


def members(facts: RunFacts) -> Markup:
    """Every member model against the blend."""
    found = [each for each in facts.report.get("against_blend", []) if each["difference"]]
    scale = span([(each["difference"]["low"], each["difference"]["high"]) for each in found], 0.0)
    rows = [
        [
            each["model"],
            f"{pair['point']:+.1%}",
            f"{pair['low']:+.1%} and {pair['high']:+.1%}",
            "not tested" if each["upper"] is None else f"{each['upper']:+.1%}",
            f"{pair['users']:,}",
            f"{pair['detectable']:.1%}",
            _paired(pair, scale),
        ]
        for each in sorted(found, key=lambda each: -each["difference"]["point"])
        for pair in [each["difference"]]
    ]
    family = facts.level("slice_confidence").strip()
    head = [
        "model",
        "NDCG@10 difference",
        f"one-sided {facts.level()}bounds",
        f"upper bound (Holm{', ' + family if family else ''})",
        "users",
        "min. detectable loss",
        "",
    ]
    note = caption(
        "Difference = (member − blend) / blend. The blend is significantly better where the Holm-corrected upper bound "
        f"{f'(family-wise {family}) ' if family else ''}is below 0."
    )
    return section("Members against the blend", table(head, rows, (1, 2, 3, 4, 5)), note) if rows else Markup("")


def slices(facts: RunFacts) -> Markup:
    """NDCG@10 of each slice, and its paired difference from the champion."""
    found: list[Row] = shown_slices(facts.verdict.get("slices", []))
    if not found:
        return Markup("")
    scale = span([(each["ndcg"]["low"], each["ndcg"]["high"]) for each in found], 0.0)
    pairs = [each["difference"] for each in found if each["difference"]]
    apart = span([(pair["low"], pair["high"]) for pair in pairs], 0.0)
    head = [
        "slice",
        "",
        "users",
        "NDCG@10",
        "95% interval",
        "",
        *(["against the champion", "", "corrected upper bound", "min. detectable loss"] * bool(pairs)),
    ]
    rows = [_slice(each, scale, apart, bool(pairs)) for each in found]
    regressed = "A slice has regressed if its corrected upper bound is below 0 and its loss is larger than the margin. "
    least = facts.report.get("slice_users")
    few = (
        f"Slices with {f'fewer than {least:,}' if least else 'few'} users are listed, but not tested, nor compared for "
        "gaps. Head, middle and tail of the catalogue by popularity hold a third of all user-item pairs each."
    )
    gaps = shown_slices(facts.verdict.get("gaps", []))
    listed = [[gap["by"], gap["best"], gap["worst"], f"{gap['gap']['point']:.4f}", _bounds(gap["gap"])] for gap in gaps]
    return section(
        "Slices",
        table(head, rows, (2, 3, 4, 7, 8, 9)),
        caption((regressed if pairs else "") + few),
        tag("h3", "Gaps between slices") if gaps else "",
        table(["by", "best slice", "worst slice", "NDCG@10 gap", "95% interval"], listed, (3, 4)) if gaps else "",
    )


def _slice(each: Row, scale: tuple[float, float], apart: tuple[float, float], compared: bool) -> list[Any]:
    ndcg, pair = each["ndcg"], each["difference"]
    row: list[Any] = [
        each["by"],
        each["name"],
        f"{each['users']:,}",
        f"{ndcg['point']:.4f}",
        f"{ndcg['low']:.4f}–{ndcg['high']:.4f}",
        interval(ndcg["low"], ndcg["point"], ndcg["high"], scale),
    ]
    if not compared:
        return row
    if not pair:
        return [*row, "not measured", "", "", ""]
    state = tag("span", "regressed", class_="state failed") if each["broken"] else ""
    bound = "not tested" if each["upper"] is None else f"{each['upper']:+.1%}"
    drawn = interval(pair["low"], pair["point"], pair["high"], apart, 0.0)
    return [*row, drawn, f"{pair['point']:+.1%}", tag("span", bound, " ", state), f"{pair['detectable']:.1%}"]


def behaviours(facts: RunFacts) -> Markup:
    """The results of the behavioural tests."""
    rows = []
    for each in facts.report.get("behaviours", []):
        figure, bound = each["figure"], each["bound"]
        if figure is None:
            state = "not applicable"
        elif bound is None:
            state = "info"
        else:
            state = "failed" if figure < bound else "passed"
        shown = tag("span", state, class_=f"state {STATES.get(state, '')}")
        rows.append([explained(each["name"], each["text"]), shown])
    return section("Behavioural tests", table(["test", "result"], rows)) if rows else Markup("")


def groups(facts: RunFacts) -> Markup:
    """Exposure of groups of items in the lists, against their share of the items that users chose."""
    found: list[Row] = facts.report.get("groups", [])
    rows = [
        [
            each["by"],
            each["name"],
            f"{each['items']:,}",
            f"{each['exposure']['point']:.1%}",
            _bounds(each["exposure"], ".1%"),
            f"{each['wanted']:.1%}",
            f"{each['surplus']['point']:+.1%}",
            _bounds(each["surplus"], "+.1%"),
        ]
        for each in found
    ]
    head = ["by", "group", "items", "exposure", "95% interval", "relevant share", "surplus", "95% interval"]
    note = caption(
        "Exposure: share of the lists' places, weighted by rank, that go to the group. Relevant share: the group's "
        "share of the items that test users chose. Surplus: exposure minus relevant share."
    )
    return section("Exposure of groups", table(head, rows, (2, 3, 4, 5, 6, 7)), note) if rows else Markup("")


def _bounds(found: Row, form: str = ".4f") -> str:
    return f"{found['low']:{form}} to {found['high']:{form}}"
