"""The page of the catalogue: what was derived of its items, as one self-contained HTML file with images."""

from __future__ import annotations

from pathlib import Path

from nightreel.report.catalogue.item_cards import cards, chosen, samples
from nightreel.report.catalogue.map import catalogue_map
from nightreel.report.catalogue.sentiment import comments, sentiment
from nightreel.report.catalogue.tables import CatalogueTables, Row, read_catalogue
from nightreel.report.document import framed, write
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.paths import understanding_path

REVIEWED = 10
METHODS = {"learned": "trained tagger", "commonest": "most frequent tag", "label_names": "nearest tag name"}
FIGURES = {
    "precision@1": "precision@1",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "map": "mAP",
    "tagged": "share tagged",
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
    """Return the whole document; sections without data are omitted."""
    title = f"Nightreel catalogue, run {catalogue.recipe[:12]}"
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
    return framed(title, [tag("header", tag("h1", title)), tag("main", *parts)], _RULES + _ALONE)


def write_understanding(data: Path, metrics: Path, state: Path) -> Path | None:
    """Write the page of the run whose files are in `data`.

    Returns:
        The path of the page; None if stage understand has not run.
    """
    catalogue = read_catalogue(data, metrics)
    if catalogue is None:
        return None
    path = understanding_path(state, catalogue.recipe)
    write(page(catalogue), path)
    return path


def _head(catalogue: CatalogueTables) -> Markup:
    metrics = catalogue.metrics
    counts = {
        "items": metrics.get("items", len(catalogue)),
        "with a description or transcript": metrics.get("with_prose"),
        "transcribed": metrics.get("transcribed"),
        "with a known language": metrics.get("with_language"),
    }
    return tag("dl", *(tag("div", tag("dt", n), tag("dd", f"{v:,}")) for n, v in counts.items() if v is not None))


def known(catalogue: CatalogueTables) -> Markup:
    """Each derived field: how many items have it, which model or method produced it, and why other items lack it."""
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
    gaps = [tag("h3", "Missing fields, and why"), table(["field", "items", "reason"], lack[:12], (1,))] if lack else []
    known_fields = table(["field", "items", "share", "produced by"], have, (1, 2)) if have else ""
    return section("Derived fields", known_fields, *gaps)


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"


def _named(cards: Row, producer: str) -> str:
    card = cards.get(producer, {})
    name = card.get("model") or card.get("encoder") or ""
    method = card.get("method") or ""
    return " · ".join(part for part in (str(name), str(method)) if part) or producer


def tags(metrics: Row) -> Markup:
    """Quality of the tagger against two baselines."""
    quality = metrics.get("tags", {})
    rows = [
        [shown, *(f"{quality[name][figure]:.3f}" for figure in FIGURES)]
        for name, shown in METHODS.items()
        if name in quality
    ]
    explained = caption(
        "Cross-validated: every item is tagged by a model that was not trained on it. Tags are used only if the tagger "
        "beats both baselines, and an item gets a tag only above the threshold understand.tags.probability."
    )
    return section("Tags", table(["method", *FIGURES.values()], rows, range(1, 6)), explained) if rows else Markup("")


def review(catalogue: CatalogueTables) -> Markup:
    """Answers of the language model that failed the checks, for manual review."""
    rows = [
        [row["item_id"], row["reason"], tag("span", row["answer"][:300], class_="wide")]
        for row in catalogue.review(REVIEWED)
    ]
    explained = caption(
        "Answers of the language model that failed the checks; they are not used. All of them are in review.parquet."
    )
    return section("For review", explained, table(["item", "reason", "answer"], rows)) if rows else Markup("")
