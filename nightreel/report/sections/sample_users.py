"""The report's sample users: history, both lists, and why items were recommended, with bars and word clouds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nightreel.report.markup import Markup, caption, section, tag
from nightreel.report.run_files import Row, RunFacts

KINDS = ("behaviour", "content", "popularity")
LARGEST, SMALLEST = 1.5, 0.8  # em, of a cloud's words


def people(facts: RunFacts) -> Markup:
    """A card for each sample user."""
    found: list[Row] = facts.report.get("samples", [])
    if not found:
        return Markup("")
    compared = any("champion_ndcg" in each for each in found)
    by = "the difference in NDCG@10 from the champion" if compared else "NDCG@10"
    order = f"{len(found):,} users at evenly spaced ranks, ordered by {by}. "
    keys = [tag("span", tag("i", class_=f"bit k{n}"), name, class_="key") for n, name in enumerate(KINDS)]
    explained = tag("p", "The bar next to an item shows which kinds of signal ranked it: ", *keys, class_="note")
    cards = tag("div", *(_person(each, facts.served) for each in found), class_="people")
    return section(
        "Sample users",
        caption(order + "A tick marks the held-out items."),
        explained if any("why" in each for each in found) else "",
        cards,
    )


def _person(each: Row, served: str) -> Markup:
    rival = each.get("champion_ndcg")
    score = f"NDCG@10 {each['ndcg']:.3f}" + ("" if rival is None else f", champion {rival:.3f}")
    why = each.get("why", [])
    columns = [_list(served, each["challenger"], why)]
    if "champion" in each:
        columns.insert(0, _list("champion", each["champion"], []))
    return tag(
        "article",
        tag("h3", f"{each['user'][:16]} · {score}"),
        tag(
            "p", tag("span", _latest(len(each["history"]), each["events"]), class_="quiet"), "; ".join(each["history"])
        ),
        tag(
            "p",
            tag("span", f"Held-out item{'s' if len(each['wanted']) > 1 else ''}: ", class_="quiet"),
            tag("b", "; ".join(each["wanted"])),
        ),
        tag("div", *columns, class_="lists"),
        _reasons(each, why),
        _clouds(each.get("words", {}), served),
        class_="person",
    )


def _latest(shown: int, events: int) -> str:
    return f"All {events:,} events: " if 1 < events == shown else f"Latest {shown:,} of {events:,} events: "


def _list(name: str, items: Sequence[Sequence[object]], why: Sequence[Sequence[object]]) -> Markup:
    rows = []
    for at, (title, hit) in enumerate(items):
        bar = _votes(why[at][1]) if at < len(why) else ""  # type: ignore[arg-type]
        row = tag("span", tag("span", title, class_="hit") if hit else tag("span", title), bar, class_="row")
        rows.append(tag("li", row))
    return tag("div", tag("h4", name), tag("ol", *rows))


def _votes(shares: Sequence[float]) -> Markup:
    """A stacked bar of an item's votes by kind of signal."""
    label = ", ".join(f"{share:.0%} {kind}" for share, kind in zip(shares, KINDS, strict=True) if share)
    bits = [tag("i", class_=f"bit k{n}", style=f"width:{share:.1%}") for n, share in enumerate(shares) if share]
    return tag("span", *bits, class_="votes", title=label, role="img", aria_label=label) if bits else Markup("")


def _reasons(each: Row, why: Sequence[Sequence[object]]) -> Markup:
    """Why the first item was recommended: in a sentence, by history item, and by feature."""
    if not why:
        return Markup("")
    title = each["challenger"][0][0]
    said = tag("p", tag("span", f"Why {title}: ", class_="quiet"), str(why[0][0]))
    parts = []
    if each.get("evidence"):
        evidence = [(name, value, f"{value:.0%}") for name, value in each["evidence"]]
        parts.append(
            _bars(f"Contribution of each history item to the first recommendation (top {len(evidence)})", evidence)
        )
    if each.get("lifted"):
        parts.append(_bars("Score minus the mean score of the retrieved items, by feature", _figures(each["lifted"])))
    return tag("div", said, tag("div", *parts, class_="lists"))


def _figures(parts: Sequence[tuple[str, float]]) -> list[tuple[str, float, str]]:
    """Parts with their values as text, all with the same number of decimals: three digits of the largest, at most six
    decimals, since a score may be as large as a rating or as small as a sum of reciprocal ranks."""
    top = max((abs(value) for _, value in parts), default=0.0)
    decimals = min(max(2 - math.floor(math.log10(top)), 0), 6) if top else 2
    return [(name, value, f"{value:+,.{decimals}f}") for name, value in parts]


def _bars(head: str, rows: Sequence[tuple[str, float, str]]) -> Markup:
    """A bar for each row, relative to the largest."""
    top = max((abs(value) for _, value, _ in rows), default=1.0) or 1.0
    lines = [
        tag(
            "li",
            tag("span", name),
            tag(
                "span",
                tag("i", class_=f"bit {'k0' if value >= 0 else 'less'}", style=f"width:{abs(value) / top:.0%}"),
                class_="votes",
                aria_hidden="true",
            ),
            tag("span", shown, class_="figure"),
        )
        for name, value, shown in rows
    ]
    return tag("div", tag("h4", head), tag("ul", *lines, class_="bars"))


def _clouds(words: Row, served: str) -> Markup:
    """Word clouds of the history and of each list."""
    what = "Typical genres and words:"
    ours = f"{what} {'recommended items' if served != 'challenger' else 'items of the challenger'}"
    named = (("history", f"{what} history"), ("champion", f"{what} items of the champion"), ("challenger", ours))
    clouds = [
        tag("div", tag("h4", head), tag("p", *_words(words[name]), class_="cloud"))
        for name, head in named
        if words.get(name)
    ]
    return tag("div", *clouds, class_="lists clouds") if clouds else Markup("")


def _words(cloud: Sequence[tuple[str, float]]) -> list[Markup]:
    size = LARGEST - SMALLEST
    return [tag("span", word, style=f"font-size:{SMALLEST + size * weight:.2f}em") for word, weight in cloud]
