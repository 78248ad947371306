"""Sample items of a catalogue: their derived fields, video frames and most similar items."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nightreel.report.catalogue.nearest_items import Neighbour, in_common, nearest
from nightreel.report.catalogue.tables import CatalogueTables, Row
from nightreel.report.markup import Markup, caption, section, tag

SHOWN = 12
NEIGHBOURS = 5
FRAMES = 4
SAID = 4
"""Number of segments shown of a transcript."""
LONGEST = 280
"""Maximum length of a text in characters."""
KINDS = ("frames", "transcript", "sound", "written_summary", "summary", "tags", "keywords", "language")
"""Fields in order of how much they show, the most first."""


@dataclass(frozen=True)
class SampleItem:
    """An item of the catalogue and the data of its card. neighbours: (row, cosine, shared properties)."""

    number: int
    row: Row
    frames: Sequence[Row]
    gaps: Sequence[Row]
    neighbours: Sequence[tuple[Row, float, Sequence[str]]]


def chosen(catalogue: CatalogueTables) -> list[int]:
    """Choose rows that represent every kind of item: in turn from each medium and, within it, from each group of items
    with the same fields, the richest group first, at even distances within each group."""
    kinds, media = catalogue.kinds(KINDS), catalogue.media()
    groups: dict[str, dict[tuple[bool, ...], list[int]]] = {}
    for row, (kind, medium) in enumerate(zip(kinds, media, strict=True)):
        if any(kind):
            groups.setdefault(medium, {}).setdefault(kind, []).append(row)
    turns = _in_turn([_in_turn([_spread(own[kind]) for kind in sorted(own, reverse=True)]) for own in groups.values()])
    # Chosen in turn, but shown with the richest first.
    return sorted(turns[:SHOWN], key=lambda row: (tuple(not known for known in kinds[row]), row))


def _in_turn(queues: Sequence[Sequence[int]]) -> list[int]:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _spread(rows: list[int]) -> list[int]:
    count = min(SHOWN, len(rows))
    return [rows[(2 * at + 1) * len(rows) // (2 * count)] for at in range(count)]


def samples(catalogue: CatalogueTables, rows: Sequence[int]) -> list[SampleItem]:
    """Return the rows with their frames, missing fields and neighbours."""
    own = catalogue.rows(list(rows))
    items = [row["item_id"] for row in own]
    frames, gaps = catalogue.frames(items), catalogue.gaps(items)
    near: list[list[Neighbour]] = [[] for _ in rows]
    if catalogue.vectors is not None and len(rows):
        near = nearest(catalogue.vectors, rows, NEIGHBOURS)
    others = sorted({each.row for found in near for each in found})
    at = dict(zip(others, catalogue.rows(others), strict=True))
    return [
        SampleItem(
            number,
            row,
            frames.get(row["item_id"], []),
            gaps.get(row["item_id"], []),
            [(at[each.row], each.cosine, in_common(row, at[each.row])) for each in found],
        )
        for number, (row, found) in enumerate(zip(own, near, strict=True), start=1)
    ]


def cards(found: Sequence[SampleItem]) -> Markup:
    """Return a card for each item."""
    text = "Examples of each kind of item. Tags are predicted, with their calibrated probability."
    return section(
        "Sample items", caption(text) if found else "", tag("div", *map(card, found), class_="people") if found else ""
    )


def card(sample: SampleItem) -> Markup:
    """Return an item's card, with the most visible fields first."""
    row, derived = sample.row, sample.row["derived"]
    facts = [row.get("media_type"), row.get("language") or _guessed(derived), *(row.get("genres") or [])]
    parts = [
        tag("h3", f"{sample.number}. {row['title'] or row['item_id']}"),
        tag("p", " · ".join(str(fact) for fact in facts if fact), class_="quiet"),
        _frames(sample.frames),
        _shares(derived),
        _transcript(derived),
        _summary(row, derived),
        _tags(derived),
        _tone(derived),
        _comments(derived),
        _keywords(derived),
        _near(sample.neighbours),
        _gaps(sample.gaps),
    ]
    return tag("article", *filter(None, parts), class_="person", id=f"item-{sample.number}")


def _guessed(derived: Row) -> str:
    return f"{derived['language']} (detected)" if derived.get("language") else ""


def _frames(frames: Sequence[Row]) -> Markup | str:
    step = max(1, -(-len(frames) // FRAMES))
    shown = [
        tag("figure", Markup(_picture(each)), tag("figcaption", clock(each["time_s"])))
        for each in frames[::step]
        if each["jpeg"]
    ]
    return tag("div", *shown, class_="frames") if shown else ""


def _picture(frame: Row) -> str:
    content = base64.b64encode(frame["jpeg"]).decode()
    return f'<img src="data:image/jpeg;base64,{content}" alt="frame at {clock(frame["time_s"])}">'


def clock(seconds: float) -> str:
    """Format a time as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _shares(derived: Row) -> Markup | str:
    shares = {name: derived.get(f"{name}_share") for name in ("speech", "music", "silence")}
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
    return _titled("Sound", text) if text else ""


def _transcript(derived: Row) -> Markup | str:
    segments = (derived.get("segments") or [])[:SAID]
    lines = [tag("li", tag("small", clock(each["start_s"])), " ", _cut(each["text"])) for each in segments]
    return _titled("Transcript", tag("ul", *lines, class_="plain")) if lines else ""


def _summary(row: Row, derived: Row) -> Markup | str:
    for name, title in (("written_summary", "Summary (generated)"), ("summary", "Summary (extracted sentences)")):
        if derived.get(name):
            return _titled(title, _cut(derived[name]))
    return _titled("Description", _cut(row["description"])) if row.get("description") else ""


def _tags(derived: Row) -> Markup | str:
    names, scores = derived.get("tags") or [], derived.get("tag_scores") or []
    lines = [
        tag(
            "li",
            tag("span", name),
            Markup(f'<meter min="0" max="1" value="{score:.3f}">{score:.0%}</meter>'),
            tag("small", f"{score:.0%}"),
        )
        for name, score in zip(names, scores, strict=True)
    ]
    return _titled("Tags", tag("ul", *lines, class_="scored")) if lines else ""


def _tone(derived: Row) -> Markup | str:
    label, score = derived.get("sentiment") or "unclear", derived.get("sentiment_score")
    return _titled("Sentiment", f"{label} ({score:+.2f})") if score is not None else ""


def _comments(derived: Row) -> Markup | str:
    tone, read = derived.get("comment_tone"), derived.get("comments_read")
    return _titled("Comments", f"mean sentiment {tone:+.2f} of {read:,} in English") if tone is not None else ""


def _keywords(derived: Row) -> Markup | str:
    words = [tag("li", word) for word in derived.get("keywords") or []]
    return _titled("Keywords", tag("ul", *words, class_="chips")) if words else ""


def _near(neighbours: Sequence[tuple[Row, float, Sequence[str]]]) -> Markup | str:
    lines = [
        tag(
            "li",
            tag("b", row["title"] or row["item_id"]),
            " ",
            tag("small", f"{cosine:.2f}"),
            tag("div", "; ".join(reasons) or "similar text", class_="quiet"),
        )
        for row, cosine, reasons in neighbours
    ]
    return _titled("Most similar", tag("ol", *lines)) if lines else ""


def _gaps(gaps: Sequence[Mapping[str, str]]) -> Markup | str:
    text = "; ".join(dict.fromkeys(f"no {gap['field'].replace('_', ' ')}: {gap['skipped']}" for gap in gaps))
    return tag("p", text, class_="quiet") if text else ""


def _titled(title: str, inside: object) -> Markup:
    return tag("div", tag("h4", title), inside, class_="field")


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST else value[:LONGEST].rsplit(" ", 1)[0] + " …"
