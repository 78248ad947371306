"""The top of the report: the decision, the key figures, and every gate rule with its threshold."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STATES = {"passed": "passed", "failed": "failed", "inconclusive": "unsure", "not measured": "unsure"}
SHARE, COUNT, DAYS = "{:+.1%}", "{:,.0f}", "{:+,.1f} days"
FORMATS = {
    "not worse than the champion": (SHARE, "lower bound ≥ {:+.1%}"),
    "better than popularity": (SHARE, "lower bound > {:.0%}"),
    "list integrity": (COUNT, "{:.0f} faulty lists"),
    "data freshness": (DAYS, "≥ {:+.0f} days"),
    "data drift": (COUNT, "{:.0f} figures beyond their stop"),
    "no slice regression": (SHARE, "no significant loss beyond {:+.1%}"),
    "catalogue coverage": ("{:.0%}", "≥ {:.0%} of the champion's"),
    "behavioural tests": (COUNT, "{:.0f} failed tests"),
}
"""Rule → the formats of its value and of its threshold."""


def verdict(facts: RunFacts) -> Markup:
    """The decision in large letters, its sentence, the key figures, and what was compared."""
    found = facts.verdict
    decision = str(found.get("decision", "no decision"))
    named = {
        "candidate": _short(found.get("candidate")),
        "champion": _short(found.get("champion")) or "none",
        "comparison method": f"rule ({found['comparison']})" if found.get("comparison") else "no comparison",
        "decided on": f"{found.get('gate', '')}, {found.get('users', 0):,} test users",
        "excluded (no history)": f"{found['cold_users']:,} users" if found.get("cold_users") else "",
        "test split evaluated by": _runs(facts.reads.get(found.get("gate", ""), 0)),
        "source": str(facts.source.get("name", "")),
        "published": _short(facts.receipt.get("digest")) if facts.receipt.get("published") else "no",
    }
    listed = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in named.items() if value))
    head = tag("strong", f"{decision.capitalize()}: {found.get('label', '')}")
    tiles = tag("div", *_tiles(facts), class_="tiles")
    return tag("div", head, tag("p", found.get("sentence", "")), tiles, listed, class_=f"verdict {decision}")


def _tiles(facts: RunFacts) -> list[Markup]:
    """The key figures."""
    verdict = facts.verdict
    found = {rule["name"]: rule for rule in verdict.get("rules", [])}
    tiles = []
    ndcg = verdict.get("intervals", {}).get(verdict.get("model"), {}).get("ndcg@10")
    if ndcg:
        interval = f"95% interval {ndcg[1]:.4f}–{ndcg[2]:.4f}"
        tiles.append(_tile(f"{ndcg[0]:.4f}", "NDCG@10 of the evaluated lists", interval))
    for name, against in (("not worse than the champion", "the champion"), ("better than popularity", "popularity")):
        rule = found.get(name)
        if rule and rule["point"] is not None and rule.get("low") is not None:
            bounds = f"interval {rule['low']:+.1%} to {rule['high']:+.1%}"
            tiles.append(_tile(f"{rule['point']:+.1%}", f"NDCG@10 against {against}", bounds))
    covered = facts.report.get("champion") or {}
    if "coverage@10" in covered:
        ratio = found.get("catalogue coverage", {}).get("point")
        share = "" if ratio is None else f"{ratio:.0%} of the champion's {covered['coverage@10']:.1%}"
        ours = covered["coverage@10"] * ratio if ratio is not None else None
        if ours is not None:
            tiles.append(_tile(f"{ours:.1%}", "catalogue coverage", share))
    return tiles


def _tile(figure: str, what: str, more: str) -> Markup:
    return tag("div", tag("b", figure), tag("span", what), tag("small", more), class_="tile")


def rules(facts: RunFacts) -> Markup:
    """Every gate rule with its threshold and result."""
    rows = [_rule(rule) for rule in facts.verdict.get("rules", [])]
    if not rows:
        return Markup("")
    explained = caption(
        "Min. detectable loss: the smallest true loss that this number of users reveals with a power of 80%. "
        "Inconclusive: there are too few users for a significant result; such a rule lets the challenger pass, and "
        "the last column estimates how many users a clear result would need."
    )
    head = ["rule", "result", "value", "threshold", "users", "min. detectable loss", "users needed"]
    return section("Gate rules", table(head, rows, (2, 4, 5, 6)), explained, _override(facts.verdict.get("override")))


def _rule(rule: Row) -> list[object]:
    figure, bound = FORMATS.get(rule["name"], ("{:,.4g}", "{:,.4g}"))
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


def _override(override: Row | None) -> Markup | str:
    if not override:
        return ""
    who = tag("b", f"Overridden by {override['by']}")
    return tag("p", who, f", instead of {override['instead_of']}: {override['reason']}")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _runs(reads: int) -> str:
    """How often the test split was used: the more configurations, the more optimistic the best result."""
    return f"{reads:,} configuration{'' if reads == 1 else 's'}" if reads else ""


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else ""
