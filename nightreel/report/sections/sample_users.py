"""Sample users side by side: what they took to, what both lists show and why, in words, bars and word clouds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nightreel.report.markup import Markup, caption, section, tag
from nightreel.report.run_files import Row, RunFacts

KINDS = ("what people take after it", "closeness in content", "popularity now")
LARGEST, SMALLEST = 1.5, 0.8  # em, of a cloud's words


def people(facts: RunFacts) -> Markup:
    """A card for each sample user."""
    found: list[Row] = facts.report.get("samples", [])
    if not found:
        return Markup("")
    order = (
        "From the greatest loss against the champion to the greatest gain, evenly apart; "
        if any("champion_ndcg" in each for each in found)
        else "From the lowest NDCG@10 to the highest, evenly apart; "
    )
    keys = [tag("span", tag("i", class_=f"bit k{n}"), name, class_="key") for n, name in enumerate(KINDS)]
    explained = tag("p", "The bar beside an item shares out the votes that brought it in: ", *keys, class_="note")
    cards = tag("div", *(_person(each) for each in found), class_="people")
    return section(
        "Sample users",
        caption(order + "a tick marks what the user then took to."),
        explained if any("why" in each for each in found) else "",
        cards,
    )


def _person(each: Row) -> Markup:
    rival = each.get("champion_ndcg")
    score = f"NDCG@10 {each['ndcg']:.3f}" + ("" if rival is None else f", champion {rival:.3f}")
    why = each.get("why", [])
    columns = [_list("challenger", each["challenger"], why)]
    if "champion" in each:
        columns.insert(0, _list("champion", each["champion"], []))
    return tag(
        "article",
        tag("h3", f"{each['user'][:16]} · {score}"),
        tag("p", tag("span", f"Newest of {each['events']:,} events: ", class_="quiet"), "; ".join(each["history"])),
        tag("p", tag("span", "Then took to: ", class_="quiet"), tag("b", "; ".join(each["wanted"]))),
        tag("div", *columns, class_="lists"),
        _reasons(each, why),
        _clouds(each.get("words", {})),
        class_="person",
    )


def _list(name: str, items: Sequence[Sequence[object]], why: Sequence[Sequence[object]]) -> Markup:
    rows = []
    for at, (title, hit) in enumerate(items):
        bar = _votes(why[at][1]) if at < len(why) else ""  # type: ignore[arg-type]
        row = tag("span", tag("span", title, class_="hit") if hit else tag("span", title), bar, class_="row")
        rows.append(tag("li", row))
    return tag("div", tag("h4", name), tag("ol", *rows))


def _votes(shares: Sequence[float]) -> Markup:
    """A bar that shares out an item's votes by kind."""
    told = ", ".join(f"{share:.0%} {kind}" for share, kind in zip(shares, KINDS, strict=True) if share)
    bits = [tag("i", class_=f"bit k{n}", style=f"width:{share:.1%}") for n, share in enumerate(shares) if share]
    return tag("span", *bits, class_="votes", title=told, role="img", aria_label=told) if bits else Markup("")


def _reasons(each: Row, why: Sequence[Sequence[object]]) -> Markup:
    """Why the first item is there: in a sentence, by history item, and by feature against the other candidates."""
    if not why:
        return Markup("")
    title = each["challenger"][0][0]
    said = tag("p", tag("span", f"Why {title}: ", class_="quiet"), str(why[0][0]))
    parts = []
    if each.get("evidence"):
        parts.append(_bars("of its votes, from", [(name, value, f"{value:.0%}") for name, value in each["evidence"]]))
    if each.get("lifted"):
        parts.append(_bars("its score, against the mean candidate's", _figures(each["lifted"])))
    return tag("div", said, tag("div", *parts, class_="lists"))


def _figures(parts: Sequence[tuple[str, float]]) -> list[tuple[str, float, str]]:
    """Parts with their figures in words, all to the same place: three digits of the greatest one, at most six decimals.
    A score may be a rating's size or a sum of reciprocal ranks."""
    top = max((abs(value) for _, value in parts), default=0.0)
    decimals = min(max(2 - math.floor(math.log10(top)), 0), 6) if top else 2
    return [(name, value, f"{value:+,.{decimals}f}") for name, value in parts]


def _bars(head: str, rows: Sequence[tuple[str, float, str]]) -> Markup:
    """A bar for each row, its length by the greatest."""
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


def _clouds(words: Row) -> Markup:
    """What the history and each list are about."""
    named = (("history", "history is about"), ("champion", "champion's list"), ("challenger", "challenger's list"))
    clouds = [
        tag("div", tag("h4", head), tag("p", *_words(words[name]), class_="cloud"))
        for name, head in named
        if words.get(name)
    ]
    return tag("div", *clouds, class_="lists clouds") if clouds else Markup("")


def _words(cloud: Sequence[tuple[str, float]]) -> list[Markup]:
    size = LARGEST - SMALLEST
    return [tag("span", word, style=f"font-size:{SMALLEST + size * weight:.2f}em") for word, weight in cloud]
