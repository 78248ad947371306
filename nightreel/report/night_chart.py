"""A chart of quality by night: a dot with its interval for each night, lines of what it is compared with, and marks of
what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightreel.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, grid, key, scale
from nightreel.report.markup import Markup, tag, text

DATES = 4  # below the axis at most
MARKS = 16  # height of the line of marks
SIGNS = {
    "good": ("▲", "a new version"),
    "same": ("●", "the same version, refitted or kept"),
    "bad": ("✕", "nothing published"),
}


@dataclass(frozen=True)
class NightPoint:
    """One night of the chart.

    Attributes:
        date: Its date, as short as possible.
        value: Its quality; None where nothing was measured.
        ends: The ends of its interval; None without one.
        beside: Values of what it is compared with, by name.
        sign: What happened, of SIGNS; empty for no mark.
        told: The same in words.
    """

    date: str
    value: float | None
    ends: tuple[float, float] | None = None
    beside: Mapping[str, float | None] = field(default_factory=dict)
    sign: str = "same"
    told: str = ""


@dataclass(frozen=True)
class _Frame:
    """Where a night and a value stand. low, high: the axis; step: of its ticks."""

    nights: int
    low: float
    high: float
    step: float

    def x(self, number: int) -> float:
        return LEFT + 12 + number / max(self.nights - 1, 1) * (WIDTH - LEFT - RIGHT - 24)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def night_chart(nights: Sequence[NightPoint], what: str, own: str, *, by: str = "night", labels: int = DATES) -> Markup:
    """Return the chart, with a legend below.

    Args:
        nights: In order of time.
        what: Label of the axis, such as `NDCG@10`.
        own: Name of the measured series.
        by: What the points are, such as `night`.
        labels: Labels below the axis at most.

    Returns:
        Empty, if fewer than two nights have a value.
    """
    known = [each for each in nights if each.value is not None]
    if len(known) < 2:
        return Markup("")
    names = list(dict.fromkeys(name for each in nights for name in each.beside))
    values = [each.value for each in known if each.value is not None]
    values += [end for each in known for end in each.ends or ()]
    values += [value for each in nights for value in each.beside.values() if value is not None]
    frame = _Frame(len(nights), *scale(min(0.0, *values), max(values)))
    parts = [*_axes(nights, frame, what, labels), *(_line(nights, name, n, frame) for n, name in enumerate(names, 1))]
    parts += [_night(each, number, frame) for number, each in enumerate(nights)]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT + MARKS}" role="img" aria-label="{text(f"{what} by {by}")}"'
    keys = [tag("span", tag("span", "●", class_="own"), f"{own}, with 95% interval", class_="key")]
    keys += [tag("span", Markup(key(n)), name, class_="key") for n, name in enumerate(names, 1)]
    used = {each.sign for each in nights}
    keys += [tag("span", f"{sign} {meaning}", class_="key") for name, (sign, meaning) in SIGNS.items() if name in used]
    return tag("figure", Markup(f"<svg {size}>{''.join(parts)}</svg>"), tag("figcaption", *keys))


def _axes(nights: Sequence[NightPoint], frame: _Frame, what: str, labels: int) -> list[str]:
    parts = grid((frame.low, frame.high, frame.step), what)
    every = -(-len(nights) // labels)
    for number in range(0, len(nights), every):
        at = f'x="{frame.x(number):.1f}" y="{HEIGHT - BOTTOM + MARKS + 18}" text-anchor="middle"'
        parts.append(f"<text {at}>{text(nights[number].date)}</text>")
    return parts


def _line(nights: Sequence[NightPoint], name: str, number: int, frame: _Frame) -> str:
    """The line of what the nights are compared with; it ends where a value is missing."""
    pieces: list[list[str]] = [[]]
    for at, each in enumerate(nights):
        value = each.beside.get(name)
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{frame.x(at):.1f},{frame.y(value):.1f}")
    return "".join(f'<polyline points="{" ".join(piece)}" class="line c{number}"/>' for piece in pieces if piece)


def _night(each: NightPoint, number: int, frame: _Frame) -> str:
    """The night's dot, interval and mark."""
    x, drawn = frame.x(number), ""
    if each.ends is not None:
        low, high = (frame.y(end) for end in each.ends)
        drawn += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" class="bar"/>'
    if each.value is not None:
        drawn += f'<circle cx="{x:.1f}" cy="{frame.y(each.value):.1f}" r="4" class="dot"/>'
    at = f'x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle" class="sign {each.sign}"'
    mark = f"<text {at}>{SIGNS[each.sign][0]}</text>" if each.sign else ""
    return f"<g>{drawn}{mark}<title>{text(each.told)}</title></g>"
