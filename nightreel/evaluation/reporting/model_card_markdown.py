"""The model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nightreel.markdown_text import on_one_line

Card = dict[str, Any]


def as_markdown(card: Card) -> str:
    """Format the whole card."""
    parts = [
        f"# Model card: recommendations over {on_one_line(card['name'])}",
        _list("Intended use", card["intended_use"]),
        _list("Out of scope", card["not_for"]),
        _data(card),
        _recipe(card),
        _metrics(card),
        _slices(card),
        _newcomers(card),
        _drift(card),
        _list("Limits", card["limits"]),
        f"## Terms of the data\n\n{card['terms']}",
        _lineage(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data(card: Card) -> str:
    data = card["data"]
    span = f"from {data.get('begins')} to {data.get('ends')}" if data.get("clock") == "time" else "in order, no clock"
    lines = [
        "## Data",
        "",
        f"{data['events']:,} events of {data['users']:,} users with {data['items']:,} items, {span}; "
        f"{data['positive_share']:.1%} of the events are positive. User ids are "
        f"{'keyed hashes' if data['pseudonymised'] else 'as in the source'}.",
        "",
    ]
    rows = [
        [name, *(f"{own[p]:,}" for p in ("in", "clean", "quarantined", "erased"))] for name, own in data["rows"].items()
    ]
    lines.append(_table(["table", "rows in", "clean", "quarantined", "erased"], rows))
    lines += ["", f"Positive events: {data['positive']}."]
    return "\n".join([*lines, *(f"\nWarning: {warning}" for warning in data["warnings"])])


def _recipe(card: Card) -> str:
    recipe, encoder = card["recipe"], card["encoder"]
    rows = [
        [name, ", ".join(f"{key} {value:g}" for key, value in sorted(chosen.items()))]
        for name, chosen in recipe["members"].items()
    ]
    fitted = "pre-trained" if recipe["encoder"] == "base" else "fine-tuned on behaviour"
    named = f"Content: {encoder['encoder']} ({fitted}, licence {encoder.get('licence', 'unknown')})." if encoder else ""
    return "\n".join(
        [
            "## Members and recipe",
            "",
            f"Blended by {recipe['blend']}. {named}".rstrip(),
            "",
            _table(["member", "parameters selected on validation"], rows),
        ]
    )


def _metrics(card: Card) -> str:
    lines = [
        "## Metrics",
        "",
        "Full ranking of the catalogue, without seen items if the service excludes them; "
        "95% intervals by bootstrap over users.",
    ]
    for name, own in card["metrics"].items():
        decides = ", used by the gate" if name == card["decided_on"] else ""
        lines += ["", f"### {name}: {own['users']:,} test users{decides}", ""]
        metrics = [m for m in next(iter(own["models"].values()), {}) if m != "beyond"]
        rows = [[model, *(_interval(each[metric]) for metric in metrics)] for model, each in own["models"].items()]
        lines.append(_table(["model", *metrics], rows) if rows else "Not measured: there are no test users.")
        beyond = {model: each["beyond"] for model, each in own["models"].items()}
        names = list(dict.fromkeys(n for each in beyond.values() for n in each))
        values = [
            [model, *(f"{each[n]:.4f}" if n in each else "not measured" for n in names)]
            for model, each in beyond.items()
        ]
        lines += ["", _table(["model", *names], values)] if values and names else []
    return "\n".join(lines)


def _slices(card: Card) -> str:
    rows = [
        [each["by"], each["name"], f"{each['users']:,}", _interval([each["ndcg"][p] for p in ("point", "low", "high")])]
        for each in card["slices"]
    ]
    if not rows:
        return "## Slices\n\nNot measured: no slice has users."
    gaps = [
        [each["by"], each["best"], each["worst"], _interval([each["gap"][p] for p in ("point", "low", "high")])]
        for each in card["gaps"]
    ]
    lines = ["## Slices", "", _table(["by", "slice", "users", "NDCG@10"], rows)]
    return "\n".join([*lines, "", _table(["by", "best slice", "worst slice", "gap"], gaps)] if gaps else lines)


def _newcomers(card: Card) -> str:
    rows = [
        [row["what"], row["model"], f"{row['users']:,}", _interval([row["ndcg"][p] for p in ("point", "low", "high")])]
        for row in card["newcomers"]
    ]
    return "## Cold start\n\n" + _table(["segment", "model", "users", "NDCG@10"], rows) if rows else ""


def _drift(card: Card) -> str:
    """Differences between training events and test events."""
    moved = [each for each in card["drift"] if each["state"] != "steady"]
    steady = len(card["drift"]) - len(moved)
    lines = ["## Drift between training and test events", "", f"Steady figures: {steady}."]
    rows = [[each["what"], each["state"], each["text"]] for each in moved]
    return "\n".join([*lines, "", _table(["figure", "state", "details"], rows)] if rows else lines)


def _lineage(card: Card) -> str:
    lineage = card["lineage"]
    splits = [f"- test split {name}: `{digest[:16]}`" for name, digest in lineage["splits"].items()]
    return "\n".join(
        ["## Lineage", "", f"- source: `{lineage['source']}`", *splits, f"- further lineage: {lineage['beside']}"]
    )


def _interval(values: Sequence[float]) -> str:
    point, low, high = values
    return f"{point:.4f} [{low:.4f}, {high:.4f}]"


def _list(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {line}" for line in lines)])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(on_one_line, row))} |" for row in rows)])
