"""The top of the report: the decision, the key figures, and every gate rule with its threshold."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, explained, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STATES = {"passed": "passed", "failed": "failed", "inconclusive": "unsure", "not measured": "unsure"}
LISTS = {"blend": "the blend", "challenger": "the challenger"}
COMPARED = {
    "a": "the champion's stored lists, same split",
    "b": "users whose test events are later than the champion's data, with equal histories",
    "c": "the champion's choices, retrained on this split",
}
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
        "evaluated bundle (candidate)": _short(found.get("candidate")),
        "champion": _short(found.get("champion")) or "none",
        "compared on": COMPARED.get(str(found.get("comparison")), ""),
        "decided on": f"{found.get('gate', '')}, {found.get('users', 0):,} test users",
        "excluded (no history)": f"{found['cold_users']:,} users" if found.get("cold_users") else "",
        "test split evaluated by": _runs(facts.reads.get(found.get("gate", ""), 0)),
        "source": str(facts.source.get("name", "")),
        "published version (refitted on all events)": _short(facts.receipt.get("digest"))
        if facts.receipt.get("published")
        else "no",
    }
    listed = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in named.items() if value))
    head = tag("strong", f"{decision.capitalize()}: {found.get('label', '')}")
    tiles = tag("div", *_tiles(facts), class_="tiles")
    return tag("div", head, tag("p", _reason(found)), tiles, listed, class_=f"verdict {decision}")


def _reason(verdict: Row) -> str:
    """The verdict's sentence without the decision that stands above it."""
    sentence = str(verdict.get("sentence", ""))
    for said in (f"{verdict.get('decision')} ({verdict.get('label')}): ", "Promoted as the baseline: "):
        sentence = sentence.removeprefix(said)
    return sentence[:1].upper() + sentence[1:]


def _tiles(facts: RunFacts) -> list[Markup]:
    """The key figures."""
    verdict = facts.verdict
    found = {rule["name"]: rule for rule in verdict.get("rules", [])}
    tiles = []
    ndcg = verdict.get("intervals", {}).get(verdict.get("model"), {}).get("ndcg@10")
    if ndcg:
        interval = f"95% interval {ndcg[1]:.4f}–{ndcg[2]:.4f}"
        tiles.append(_tile(f"{ndcg[0]:.4f}", f"NDCG@10 of {LISTS.get(facts.served, facts.served)}", interval))
    for name, against in (("not worse than the champion", "the champion"), ("better than popularity", "popularity")):
        rule = found.get(name)
        if rule and rule["point"] is not None and rule.get("low") is not None:
            bounds = f"one-sided {facts.level()}bounds: {rule['low']:+.1%} and {rule['high']:+.1%}"
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
    found = facts.verdict.get("rules", [])
    informs = facts.verdict.get("label") in ("baseline", "replaced")
    rows = [_rule(rule, informs) for rule in found]
    if not rows:
        return Markup("")
    note = caption(
        "Min. detectable loss: the smallest true loss that this number of users reveals with a power of 80%; none: not "
        "even the loss of everything. Inconclusive: there are too few users for a significant result; such a rule lets "
        "the candidate pass, and the last column estimates how many users a clear result would need."
    )
    why = "The live version comes from other data" if facts.verdict.get("champion") else "No version is live yet"
    alone = caption(f"{why}, so only list integrity can stop the run; the other rules are shown for information.")
    head = ["rule", "result", "value", "threshold", "users", "min. detectable loss", "users needed"]
    return section(
        "Gate rules",
        alone if informs else "",
        table(head, rows, (2, 4, 5, 6)),
        note,
        _override(facts.verdict.get("override")),
    )


def _rule(rule: Row, informs: bool) -> list[object]:
    """A row of the table. informs: whether the rules other than list integrity can't stop this run."""
    figure, bound = FORMATS.get(rule["name"], ("{:,.4g}", "{:,.4g}"))
    return [
        explained(rule["name"], rule["text"]),
        _state(rule, informs),
        "–" if rule["point"] is None else figure.format(rule["point"]),
        bound.format(rule["bound"]),
        f"{rule['users']:,}" if rule["users"] else "",
        _percent(rule.get("detectable")),
        f"{rule['users_needed']:,}" if rule.get("users_needed") else "",
    ]


def _state(rule: Row, informs: bool) -> Markup:
    if informs and rule["state"] == "failed" and rule["name"] != "list integrity":
        return tag("span", "failed (not enforced)", class_="state unsure")
    return tag("span", rule["state"], class_=f"state {STATES.get(rule['state'], '')}")


def _override(override: Row | None) -> Markup | str:
    if not override:
        return ""
    who = tag("b", f"Overridden by {override['by']}")
    return tag("p", who, f", instead of {override['instead_of']}: {override['reason']}")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}" if value < 1 else "none"


def _runs(reads: int) -> str:
    """How often the test split was used: the more configurations, the more optimistic the best result."""
    return f"{reads:,} configuration{'' if reads == 1 else 's'}" if reads else ""


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else ""
