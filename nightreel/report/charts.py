"""Charts as inline SVG, without a library or script: line charts, and intervals as marks in table cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

from nightreel.report.markup import Markup, tag, text

Point = tuple[float, float]
WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 68, 22, 12, 40
COLOURS = 8  # of style.py; more lines share dashes
TICKS = 4
MARK = (170, 18)


def lines(series: Mapping[str, Sequence[Point]], x: str, y: str, *, from_zero: bool = True) -> Markup:
    """Return a chart with one line for each name and a legend below; empty if no line has two points."""
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    if not drawn:
        return Markup("")
    xs = [point[0] for points in drawn.values() for point in points]
    ys = [point[1] for points in drawn.values() for point in points]
    left, right = min(xs), max(xs)
    low, high, step = scale((min(0.0, *ys) if from_zero else min(ys)), max(ys))

    def place(point: Point) -> str:
        across = LEFT + (point[0] - left) / ((right - left) or 1) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (point[1] - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{up:.1f}"

    given = sorted(set(xs))
    at = given if len(given) <= TICKS + 2 else _steps(left, right)
    parts = [_axes(at, (low, high, step), x, y)]
    for number, points in enumerate(drawn.values()):
        path = " ".join(place(point) for point in points)
        parts.append(f'<polyline points="{path}" class="line {_style(number)}"/>')
    picture = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(f"{y} by {x}")}">{"".join(parts)}</svg>'
    )
    keys = [tag("span", Markup(key(n)), name, class_="key") for n, name in enumerate(drawn)]
    return tag("figure", Markup(picture), tag("figcaption", *keys))


def interval(low: float, point: float, high: float, scale: tuple[float, float], zero: float | None = None) -> Markup:
    """Return a mark for a table cell: a line from low to high, a dot at the point, a rule at `zero`. scale: smallest
    and largest value of the column; values beyond are clipped at the edge."""
    width, height = MARK
    begin, end = scale

    def at(value: float) -> float:
        share = (value - begin) / ((end - begin) or 1)
        return 4 + min(max(share, 0.0), 1.0) * (width - 8)

    rule = "" if zero is None else f'<line x1="{at(zero):.1f}" x2="{at(zero):.1f}" y1="0" y2="{height}" class="zero"/>'
    middle = height / 2
    bar = f'<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}" class="bar"/>'
    dot = f'<circle cx="{at(point):.1f}" cy="{middle}" r="4" class="dot"/>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'<svg {size} class="mark" aria-hidden="true">{rule}{bar}{dot}</svg>')


def span(intervals: Sequence[tuple[float, float]], *more: float) -> tuple[float, float]:
    """Return the smallest and largest value of a column of intervals."""
    every = [value for pair in intervals for value in pair] + list(more)
    return (min(every), max(every)) if every else (0.0, 1.0)


def scale(low: float, high: float) -> tuple[float, float, float]:
    """Return the ends of an axis that contains low to high, and its tick step: 1, 2, 2.5 or 5 times a power of ten."""
    rough = ((high - low) or 1.0) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(each * power for each in (1.0, 2.0, 2.5, 5.0, 10.0) if each * power >= rough * 0.999)
    begin = floor(low / step + 1e-9) * step
    return begin, begin + max(ceil((high - begin) / step - 1e-9), 1) * step, step


def _steps(left: float, right: float) -> list[float]:
    """Both ends, and the round numbers between them that are not too close to an end."""
    begin, end, step = scale(left, right)
    inner = [begin + n * step for n in range(1, round((end - begin) / step))]
    far = [each for each in inner if left + step / 3 < each < right - step / 3]
    return [left, *far, right]


def _axes(at: Sequence[float], ends: tuple[float, float, float], x: str, y: str) -> str:
    """Grid, ticks (at: x values, ascending) and the labels of x and y."""
    parts = grid(ends, y)
    for value in at:
        across = LEFT + (value - at[0]) / ((at[-1] - at[0]) or 1) * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:.3g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{text(x)}</text>')
    return "".join(parts)


def grid(ends: tuple[float, float, float], y: str) -> list[str]:
    """Return the lines, values and label of the vertical axis. ends: from `scale`."""
    parts, middle = [], (TOP + HEIGHT - BOTTOM) / 2
    low, high, step = ends
    for n in range(round((high - low) / step) + 1):
        up = HEIGHT - BOTTOM - n * step / (high - low) * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up:.1f}" y2="{up:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up + 4:.1f}" class="end">{low + n * step:.6g}</text>')
    turned = f'transform="rotate(-90 14 {middle:.1f})" text-anchor="middle"'
    return [*parts, f'<text x="14" y="{middle:.1f}" {turned}>{text(y)}</text>']


def _style(number: int) -> str:
    return f"c{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


def key(number: int) -> str:
    line = f'<line x1="1" x2="23" y1="6" y2="6" class="line {_style(number)}"/>'
    return f'<svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">{line}</svg>'
