"""The page of a version's lineage: a picture from the source to the version, its stages and their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightreel.report.document import document
from nightreel.report.markup import Markup, caption, section, table, tag

WIDTH, BOX, GAP, LINE = 352, 46, 22, 40
"""Of the picture, of a box's height, between two boxes; characters of a line in a box."""


@dataclass(frozen=True)
class LineageStep:
    """A box of the picture: what it is, and which one."""

    what: str
    which: str


@dataclass(frozen=True)
class LineageFacts:
    """What the page shows.

    Attributes:
        version: Digest of the version.
        steps: From the source to the version.
        rows: The facts in words: name → value.
        stages: Name, how it ended, and seconds.
        parameters: Settings by stage.
    """

    version: str
    steps: Sequence[LineageStep]
    rows: Mapping[str, str]
    stages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]


def page(facts: LineageFacts) -> str:
    """Return the whole document."""
    sections = [
        section("Facts", *_facts(facts.rows)),
        section("Stages", _stages(facts.stages)),
        section("Parameters", *_parameters(facts.parameters)),
    ]
    heading = f"Where version {facts.version[:12]} came from"
    return document("Nightreel lineage", heading, picture(facts.steps), sections)


def _facts(rows: Mapping[str, str]) -> Iterator[Markup]:
    """Each with its name above it: digests are wider than a phone, and break anywhere."""
    for name, value in rows.items():
        yield tag("div", tag("b", name), tag("div", value), style="overflow-wrap:anywhere;margin:.75rem 0")


def picture(steps: Sequence[LineageStep]) -> Markup:
    """Boxes below one another, with an arrow from each to the next."""
    height = len(steps) * (BOX + GAP) - GAP + 2
    parts = [part for number, step in enumerate(steps) for part in _box(step, number, last=number == len(steps) - 1)]
    said = ", then ".join(f"{step.what} {step.which}" for step in steps)
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {height}", width=str(WIDTH), role="img", aria_label=said)


def _box(step: LineageStep, number: int, *, last: bool) -> Iterator[Markup]:
    top, middle = number * (BOX + GAP) + 1, WIDTH // 2
    which = step.which if len(step.which) <= LINE else f"{step.which[: LINE - 1]}…"
    frame = {"fill": "none", "stroke": "currentColor", "stroke_opacity": "0.35", "rx": "6"}
    yield tag("rect", x="1", y=str(top), width=str(WIDTH - 2), height=str(BOX), **frame)
    small = {"font_size": "12", "fill": "currentColor", "fill_opacity": "0.7"}
    yield tag("text", step.what, x="12", y=str(top + 18), **small)
    yield tag("text", which, x="12", y=str(top + 36), font_size="14", fill="currentColor")
    if not last:
        begins, ends = top + BOX, top + BOX + GAP
        path = f"M{middle} {begins}V{ends - 2}M{middle - 4} {ends - 7}L{middle} {ends - 2}L{middle + 4} {ends - 7}"
        yield tag("path", d=path, fill="none", stroke="currentColor", stroke_opacity="0.6")


def _stages(stages: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [[each["stage"], each["how"], f"{each['seconds']:.1f}" if each["seconds"] else ""] for each in stages]
    return table(["stage", "how", "seconds"], rows, numbers=[2]) if rows else caption("Not in this machine's history.")


def _parameters(parameters: Mapping[str, Any]) -> Iterator[Markup]:
    """A table for each stage, which opens."""
    for stage, values in parameters.items():
        rows = [[tag("code", name), str(value)] for name, value in _flat(values, "")]
        yield tag("details", tag("summary", f"{stage}: {len(rows)} settings"), table(["setting", "value"], rows))


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
