"""The page of what was understood: one HTML file with its pictures inside, that needs no server and no network."""

from __future__ import annotations

from pathlib import Path

from nightreel.report.catalogue.item_cards import cards, chosen, samples
from nightreel.report.catalogue.map import catalogue_map
from nightreel.report.catalogue.sentiment import comments, sentiment
from nightreel.report.catalogue.tables import CatalogueTables, Row, read_catalogue
from nightreel.report.markup import Markup, caption, section, table, tag, text
from nightreel.report.style import css

REVIEWED = 10
METHODS = {"learned": "learned", "commonest": "always the commonest", "label_names": "nearest label name"}
FIGURES = {
    "precision@1": "precision@1",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "map": "mAP",
    "tagged": "tagged",
}
_RULES = """
.quiet{color:var(--quiet);font-size:.85rem;margin:.1rem 0}
.field h4{font-size:.85rem;margin:.7rem 0 .15rem;color:var(--quiet)}
.frames{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:.4rem;margin-top:.5rem}
.frames img{display:block;width:100%;border-radius:4px}
.frames figcaption{font-size:.8rem;color:var(--quiet)}
.plain,.chips,.scored{list-style:none;padding:0}
.chips{display:flex;flex-wrap:wrap;gap:.3rem}
.chips li{border:1px solid var(--rule);border-radius:1rem;padding:0 .6rem;background:var(--page)}
.scored li{display:grid;grid-template-columns:minmax(6rem,9rem) minmax(3rem,10rem) 3rem;gap:.5rem;align-items:center}
meter{width:100%;height:.6rem;appearance:none;background:var(--rule);border:0;border-radius:3px}
meter::-webkit-meter-bar{background:var(--rule);border:0;border-radius:3px;height:.6rem}
meter::-webkit-meter-optimum-value{background:var(--accent);border-radius:3px}
meter::-moz-meter-bar{background:var(--accent);border-radius:3px}
small{color:var(--quiet)}
.atlas svg:not(.dots){max-width:none;border:1px solid var(--rule);border-radius:6px;background:var(--box)}
.atlas figcaption{display:flex;flex-wrap:wrap;gap:.2rem .9rem;margin-bottom:.6rem}
.atlas .key{margin:0;cursor:pointer;font-size:.9rem}
.atlas .key svg{width:14px}
.atlas input{accent-color:var(--accent);margin:0}
.dots circle{fill:none;stroke-width:4;r:2px}
.ring{fill:none;stroke:var(--ink);stroke-width:2;r:8px}
.ring:hover{stroke-width:4}
article:target{outline:3px solid var(--accent)}
"""
_ALONE = "".join(f".atlas:has(#only-{number}:checked) g.dots:not(.d{number}){{opacity:.12}}" for number in range(8))


def page(catalogue: CatalogueTables) -> str:
    """The whole document; parts of which nothing is known are left out."""
    title = f"What Nightreel understood, run {catalogue.recipe[:12]}"
    rows = chosen(catalogue)
    found = samples(catalogue, rows)
    numbered = {row: sample.number for row, sample in zip(rows, found, strict=True)}
    parts = [
        _head(catalogue),
        catalogue_map(catalogue, numbered),
        cards(found),
        known(catalogue),
        tags(catalogue.metrics),
        sentiment(catalogue.metrics),
        comments(catalogue.metrics),
        review(catalogue),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{css()}{_RULES}{_ALONE}</style></head>"
        f"<body>{tag('header', tag('h1', title))}{tag('main', *parts)}</body></html>\n"
    )


def write_understanding(data: Path, metrics: Path, state: Path) -> Path | None:
    """Make the page of the run whose files are in `data`; returns where it is, None where nothing was understood."""
    catalogue = read_catalogue(data, metrics)
    if catalogue is None:
        return None
    path = understanding_path(state, catalogue.recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.partial")
    working.write_text(page(catalogue), "utf-8", errors="replace")
    working.rename(path)
    return path


def understanding_path(state: Path, recipe: str) -> Path:
    """Where the page of a recipe is kept."""
    return state / "reports" / recipe / "understanding.html"


def _head(catalogue: CatalogueTables) -> Markup:
    metrics = catalogue.metrics
    told = {
        "items": metrics.get("items", len(catalogue)),
        "with a description or transcript": metrics.get("with_prose"),
        "transcribed": metrics.get("transcribed"),
        "language known": metrics.get("with_language"),
    }
    return tag("dl", *(tag("div", tag("dt", n), tag("dd", f"{v:,}")) for n, v in told.items() if v is not None))


def known(catalogue: CatalogueTables) -> Markup:
    """Each derived field: how many items have it, and from what; and why others don't."""
    origins, n = catalogue.origins(), max(1, len(catalogue))
    have = [
        [
            row["field"].replace("_", " "),
            f"{row['count_all']:,}",
            _share(row["count_all"] / n),
            _named(catalogue.cards, row["producer"]),
        ]
        for row in origins
        if not row["skipped"]
    ]
    lack = [
        [row["field"].replace("_", " "), f"{row['count_all']:,}", row["skipped"]] for row in origins if row["skipped"]
    ]
    gaps = (
        [tag("h3", "What could not be said, and why"), table(["field", "items", "reason"], lack[:12], (1,))]
        if lack
        else []
    )
    return section("What is known", table(["field", "items", "share", "from"], have, (1, 2)) if have else "", *gaps)


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%"


def _named(cards: Row, producer: str) -> str:
    card = cards.get(producer, {})
    name = card.get("model") or card.get("encoder") or ""
    method = card.get("method") or ""
    return " · ".join(part for part in (str(name), str(method)) if part) or producer


def tags(metrics: Row) -> Markup:
    """The learned tags beside their rivals."""
    told = metrics.get("tags", {})
    rows = [
        [shown, *(f"{told[name][figure]:.3f}" for figure in FIGURES)] for name, shown in METHODS.items() if name in told
    ]
    explained = caption(
        "Cross-validated: no item's tags are judged by a head that has learned from it. Tags are given where they beat "
        "both rivals, and to an item only above the threshold of understand.tags.probability."
    )
    return section("Tags", table(["method", *FIGURES.values()], rows, range(1, 6)), explained) if rows else Markup("")


def review(catalogue: CatalogueTables) -> Markup:
    """Answers of the language model that failed the check, for somebody to look at."""
    rows = [
        [row["item_id"], row["reason"], tag("span", row["answer"][:300], class_="wide")]
        for row in catalogue.review(REVIEWED)
    ]
    explained = caption(
        "Answers of the language model that failed the check; none of it is used. All are in review.parquet."
    )
    return section("For review", explained, table(["item", "why", "answer"], rows)) if rows else Markup("")
