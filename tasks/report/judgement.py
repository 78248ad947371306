"""The first part of the page: what was decided, by which rules, and how the models, slices and groups stand."""

from __future__ import annotations

from typing import Any

from tasks.report.charts import interval, span
from tasks.report.facts import Row, RunFacts
from tasks.report.markup import Markup, note, section, table, tag

STATES = {"passed": "passed", "failed": "failed", "inconclusive": "unsure", "not measured": "unsure"}


def verdict(facts: RunFacts) -> Markup:
    """Promote or hold, in large letters, and what it is about."""
    told = facts.verdict
    decision = str(told.get("decision", "no decision"))
    named = {
        "candidate": _short(told.get("candidate")), "champion": _short(told.get("champion")) or "none",
        "compared by": f"rule ({told['comparison']})" if told.get("comparison") else "no comparison",
        "decided on": f"{told.get('gate', '')}, {told.get('users', 0):,} test users",
        "this test split was read by": _recipes(facts.reads.get(told.get("gate", ""), 0)),
        "source": str(facts.source.get("name", "")),
        "published": _short(facts.receipt.get("digest")) if facts.receipt.get("published") else "no",
    }  # fmt: skip
    listed = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in named.items() if value))
    head = tag("strong", f"{decision.capitalize()}: {told.get('label', '')}")
    return tag("div", head, tag("p", told.get("sentence", "")), listed, class_=f"verdict {decision}")


def rules(facts: RunFacts) -> Markup:
    """Every rule with what it found."""
    rows = [
        [
            rule["name"], tag("span", rule["state"], class_=STATES.get(rule["state"], "")),
            tag("div", rule["text"], class_="wide"),
            f"{rule['users']:,}" if rule["users"] else "", _percent(rule.get("detectable")),
        ]
        for rule in facts.verdict.get("rules", [])
    ]  # fmt: skip
    if not rows:
        return Markup("")
    explained = note(
        "Detectable: the least true loss that as many users would show, four times out of five. Inconclusive: the "
        "users are too few to tell, and the stated policy lets the challenger pass if it may be better."
    )
    return section("Rules", table(["rule", "result", "found", "users", "detectable"], rows, (3, 4)), explained)


def models(facts: RunFacts) -> Markup:
    """NDCG@10 of every model with its interval, protocol by protocol."""
    parts: list[Markup] = []
    gate = facts.verdict.get("gate")
    for name, own in sorted(facts.report.get("protocols", {}).items(), key=lambda pair: (pair[0] != gate, pair[0])):
        found: Row = own["models"]
        if not found:
            parts.append(note(f"{name}: no test users, nothing is measured."))
            continue
        scale = span([(each["ndcg@10"][1], each["ndcg@10"][2]) for each in found.values()], 0.0)
        rows = [
            [
                model, f"{point:.4f}", f"{low:.4f}–{high:.4f}", interval(low, point, high, scale),
                *(f"{each[metric]:.4f}" for metric in ("recall@10", "hit_rate@10", "mrr@10")),
            ]
            for model, each in sorted(found.items(), key=lambda pair: -pair[1]["ndcg@10"][0])
            for point, low, high in [each["ndcg@10"]]
        ]  # fmt: skip
        decides = " · decides" if name == gate else ""
        head = ["model", "NDCG@10", "95% interval", "", "recall@10", "hit rate@10", "MRR@10"]
        parts += [tag("h3", f"{name} · {own['users']:,} test users{decides}"), table(head, rows, (1, 2, 4, 5, 6))]
    champion = facts.report.get("champion")
    if champion:
        text = f"On the compared users: challenger {champion['challenger']:.4f}, champion {champion['ndcg@10']:.4f}."
        parts.insert(0, tag("p", text))
    return section("Models", *parts)


def slices(facts: RunFacts) -> Markup:
    """Each slice's NDCG@10 and its paired difference against the champion."""
    found: list[Row] = facts.verdict.get("slices", [])
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
        *(["against the champion", "", "corrected bound"] * bool(pairs)),
    ]
    rows = [_slice(each, scale, apart, bool(pairs)) for each in found]
    explained = "A slice is broken where the corrected upper bound is below 0 and the loss is beyond the margin. "
    few = "Slices with few users are shown and not tested."
    gaps = facts.verdict.get("gaps", [])
    listed = [[gap["by"], gap["best"], gap["worst"], f"{gap['gap']['point']:.4f}", _bounds(gap["gap"])] for gap in gaps]
    return section(
        "Slices", table(head, rows, (2, 3, 6, 7)), note((explained if pairs else "") + few),
        tag("h3", "Gaps between slices") if gaps else "",
        table(["by", "best served", "worst served", "NDCG@10 apart", "95% interval"], listed, (3, 4)) if gaps else "",
    )  # fmt: skip


def _slice(each: Row, scale: tuple[float, float], apart: tuple[float, float], compared: bool) -> list[Any]:
    ndcg, pair = each["ndcg"], each["difference"]
    row: list[Any] = [
        each["by"], each["name"], f"{each['users']:,}", f"{ndcg['point']:.4f}",
        interval(ndcg["low"], ndcg["point"], ndcg["high"], scale),
    ]  # fmt: skip
    if not compared:
        return row
    if not pair:
        return [*row, "not measured", "", ""]
    state = tag("span", "broken", class_="failed") if each["broken"] else ""
    bound = "not tested" if each["upper"] is None else f"{each['upper']:+.1%}"
    drawn = interval(pair["low"], pair["point"], pair["high"], apart, 0.0)
    return [*row, drawn, f"{pair['point']:+.1%}", tag("span", bound, " ", state)]


def behaviours(facts: RunFacts) -> Markup:
    """The behavioural tests."""
    rows = []
    for each in facts.report.get("behaviours", []):
        figure, bound = each["figure"], each["bound"]
        state = "not tried" if figure is None else "told" if bound is None else "failed" if figure < bound else "passed"
        rows.append(
            [each["name"], tag("span", state, class_=STATES.get(state, "")), tag("div", each["text"], class_="wide")]
        )
    return section("Behaviour", table(["test", "result", "found"], rows)) if rows else Markup("")


def groups(facts: RunFacts) -> Markup:
    """Attention that groups of items get, beside what users wanted."""
    found: list[Row] = facts.report.get("groups", [])
    rows = [
        [
            each["by"], each["name"], f"{each['items']:,}", f"{each['exposure']['point']:.1%}", f"{each['wanted']:.1%}",
            f"{each['surplus']['point']:+.1%}", _bounds(each["surplus"], "+.1%"),
        ]
        for each in found
    ]  # fmt: skip
    head = ["by", "group", "items", "attention", "of wanted items", "surplus", "95% interval"]
    return section("Exposure of groups", table(head, rows, (2, 3, 4, 5, 6))) if rows else Markup("")


def _bounds(found: Row, form: str = ".4f") -> str:
    return f"{found['low']:{form}} to {found['high']:{form}}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _recipes(reads: int) -> str:
    return f"{reads:,} recipe{'' if reads == 1 else 's'}" if reads else ""


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else ""
