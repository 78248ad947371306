"""The catalogue page's sections on the sentiment of items and of comments, with the measured accuracy."""

from __future__ import annotations

from nightreel.report.catalogue.tables import Row
from nightreel.report.markup import Markup, caption, section, table
from nightreel.understanding.text.sentiment_model import TONES


def sentiment(metrics: Row) -> Markup:
    """Number of items by sentiment, and the accuracy of the labels."""
    found = metrics.get("sentiment", {})
    if not found.get("read"):
        return Markup("")
    counts = {name: found[name] for name in reversed(TONES)}
    counts["unclear"] = found["read"] - sum(counts.values())
    rows = [[name, f"{count:,}", f"{count / found['read']:.1%}"] for name, count in counts.items()]
    measured = found["measured"]
    explained = caption(
        "From English descriptions and transcripts. Measured on "
        f"{measured['texts']:,} rated texts of kinds that the model was not trained on (reviews, editorials, tweets): "
        f"{measured['labelled']:.0%} got a label, of which {measured['right_where_labelled']:.0%} were correct. "
        "Descriptions are yet another kind of text: the label is about their wording, not about the item's quality."
    )
    return section("Sentiment", table(["sentiment", "items", "share"], rows, (1, 2)), explained)


def comments(metrics: Row) -> Markup:
    """Number of items with a sentiment of their comments."""
    found = metrics.get("comments")
    if not found:
        return Markup("")
    rows = [
        ["items with comments", f"{found['items']:,}"],
        ["items with a comment sentiment", f"{found['given']:,}"],
        ["comments in English", f"{found['read']:,}"],
    ]
    explained = caption(
        "Uses each user's last English comment on an item; an item with enough of them gets the mean. Comments of "
        "erased users are not used. On rated texts of other kinds, the sentiment's rank correlation with the ratings "
        f"is {found['measured']['rank_correlation']:.2f}."
    )
    return section("Comments", table(["", "count"], rows, (1,)), explained)
