"""The part of the understanding page that tells of the tone of items and of comments on them, and how far it can be
trusted."""

from __future__ import annotations

from nightreel.report.catalogue.tables import Row
from nightreel.report.markup import Markup, caption, section, table
from nightreel.understanding.text.sentiment_model import TONES


def sentiment(metrics: Row) -> Markup:
    """How many items have each tone; what was measured of the labels."""
    told = metrics.get("sentiment", {})
    if not told.get("read"):
        return Markup("")
    counts = {name: told[name] for name in reversed(TONES)}
    counts["not clear"] = told["read"] - sum(counts.values())
    rows = [[name, f"{count:,}", f"{count / told['read']:.1%}"] for name, count in counts.items()]
    measured = told["measured"]
    explained = caption(
        f"Description and transcript in English. On {measured['texts']:,} rated texts of kinds that it had not learned "
        f"from (reviews, editorials, tweets) {measured['labelled']:.0%} got a label, and of these "
        f"{measured['right_where_labelled']:.0%} were right. A description is of another kind again: this is the tone "
        "of its words, not whether the item is good."
    )
    return section("Sentiment", table(["tone", "items", "share"], rows, (1, 2)), explained)


def comments(metrics: Row) -> Markup:
    """How many items have a tone of their comments."""
    told = metrics.get("comments")
    if not told:
        return Markup("")
    rows = [
        ["items with comments", f"{told['items']:,}"],
        ["items with a tone of comments", f"{told['given']:,}"],
        ["comments in English", f"{told['read']:,}"],
    ]
    explained = caption(
        "Each person's last comment on an item, in English; an item gets their mean where there are enough. Erased "
        "users' comments count nowhere. On rated texts of other kinds, the tone of one and people's ratings have "
        f"a rank correlation of {told['measured']['rank_correlation']:.2f}."
    )
    return section("Comments", table(["", "count"], rows, (1,)), explained)
