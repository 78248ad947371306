"""The top of the page: the decision in large letters, the figures behind it, and every rule with its bound."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STATES = {"passed": "passed", "failed": "failed", "inconclusive": "unsure", "not measured": "unsure"}
SHARE, COUNT, DAYS = "{:+.1%}", "{:,.0f}", "{:+,.1f} days"
ASKED = {
    "not worse than the champion": (SHARE, "lower bound at least {:+.1%}"),
    "better than popularity": (SHARE, "lower bound above {:.0%}"),
    "every list is sound": (COUNT, "{:.0f} faulty lists"),
    "data as fresh as the champion's": (DAYS, "at least {:+.0f} days"),
    "no slice is broken": (SHARE, "none surely below 0 and beyond {:+.1%}"),
    "coverage holds": ("{:.0%}", "at least {:.0%} of the champion's"),
    "it behaves": (COUNT, "{:.0f} failed tests"),
}
"""Of a rule: how its figure and its bound are written."""


def verdict(facts: RunFacts) -> Markup:
    """Promote, hold or reject, in large letters, and what it is about."""
    told = facts.verdict
    decision = str(told.get("decision", "no decision"))
    named = {
        "candidate": _short(told.get("candidate")),
        "champion": _short(told.get("champion")) or "none",
        "compared by": f"rule ({told['comparison']})" if told.get("comparison") else "no comparison",
        "decided on": f"{told.get('gate', '')}, {told.get('users', 0):,} test users",
        "not asked, without a history": f"{told['cold_users']:,} users" if told.get("cold_users") else "",
        "this test split was read by": _recipes(facts.reads.get(told.get("gate", ""), 0)),
        "source": str(facts.source.get("name", "")),
        "published": _short(facts.receipt.get("digest")) if facts.receipt.get("published") else "no",
    }
    listed = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in named.items() if value))
    head = tag("strong", f"{decision.capitalize()}: {told.get('label', '')}")
    tiles = tag("div", *_tiles(facts), class_="tiles")
    return tag("div", head, tag("p", told.get("sentence", "")), tiles, listed, class_=f"verdict {decision}")


def _tiles(facts: RunFacts) -> list[Markup]:
    """The few figures that a reader looks for first."""
    told = facts.verdict
    found = {rule["name"]: rule for rule in told.get("rules", [])}
    tiles = []
    own = told.get("intervals", {}).get(told.get("model"), {}).get("ndcg@10")
    if own:
        tiles.append(_tile(f"{own[0]:.4f}", "NDCG@10 of what would be served", f"95%: {own[1]:.4f}–{own[2]:.4f}"))
    for name, against in (("not worse than the champion", "the champion"), ("better than popularity", "popularity")):
        rule = found.get(name)
        if rule and rule["point"] is not None and rule.get("low") is not None:
            bounds = f"bounds {rule['low']:+.1%} to {rule['high']:+.1%}"
            tiles.append(_tile(f"{rule['point']:+.1%}", f"NDCG@10 against {against}", bounds))
    covered = facts.report.get("champion") or {}
    if "coverage@10" in covered:
        ratio = found.get("coverage holds", {}).get("point")
        share = "" if ratio is None else f"{ratio:.0%} of the champion's {covered['coverage@10']:.1%}"
        ours = covered["coverage@10"] * ratio if ratio is not None else None
        if ours is not None:
            tiles.append(_tile(f"{ours:.1%}", "coverage of the catalogue", share))
    return tiles


def _tile(figure: str, what: str, more: str) -> Markup:
    return tag("div", tag("b", figure), tag("span", what), tag("small", more), class_="tile")


def rules(facts: RunFacts) -> Markup:
    """Every rule with its bound and what it found."""
    rows = [_rule(rule) for rule in facts.verdict.get("rules", [])]
    if not rows:
        return Markup("")
    explained = caption(
        "Detectable: the least true loss that as many users would show, four times out of five. Inconclusive: the "
        "users are too few to tell; the stated policy lets the challenger pass if it may be better, and the last "
        "column says about how many users would tell."
    )
    head = ["rule", "result", "value", "asked for", "users", "detectable", "needed"]
    return section("Rules", table(head, rows, (2, 4, 5, 6)), explained, _override(facts.verdict.get("override")))


def _rule(rule: Row) -> list[object]:
    figure, bound = ASKED.get(rule["name"], ("{:,.4g}", "{:,.4g}"))
    name = tag("div", tag("b", rule["name"]), tag("div", rule["text"], class_="note"), class_="wide")
    return [
        name,
        tag("span", rule["state"], class_=f"state {STATES.get(rule['state'], '')}"),
        "–" if rule["point"] is None else figure.format(rule["point"]),
        bound.format(rule["bound"]),
        f"{rule['users']:,}" if rule["users"] else "",
        _percent(rule.get("detectable")),
        f"{rule['users_needed']:,}" if rule.get("users_needed") else "",
    ]


def _override(told: Row | None) -> Markup | str:
    if not told:
        return ""
    return tag("p", tag("b", f"Decided by {told['by']}"), f", instead of {told['instead_of']}: {told['reason']}")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _recipes(reads: int) -> str:
    return f"{reads:,} recipe{'' if reads == 1 else 's'}" if reads else ""


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else ""
