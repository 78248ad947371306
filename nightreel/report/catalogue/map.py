"""The map of the catalogue: items as dots in two dimensions by similarity of content, coloured by genre."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nightreel.report.catalogue.tables import CatalogueTables, Vectors
from nightreel.report.markup import Markup, caption, section, tag, text

MOST = 2000
"""Maximum number of dots: more would be slow to place and cover each other."""
FEWEST = 12
COLOURED = 7
"""Genres with a colour of their own; the others share the last one."""
WIDTH, HEIGHT, EDGE = 720, 500, 14
DIMENSIONS, PERPLEXITY, STEPS = 30, 30.0, 500
Points = npt.NDArray[np.float64]


def drawn_rows(vectors: Vectors, always: Sequence[int]) -> list[int]:
    """Rows to draw: those of `always`, and others evenly sampled from the catalogue; items without text are omitted."""
    filled = np.flatnonzero(np.asarray(vectors).any(axis=1))
    places = np.unique(np.linspace(0, len(filled) - 1, min(MOST, len(filled))).round().astype(int))
    even = filled[places] if len(filled) else filled
    rows = np.union1d(even, np.intersect1d(filled, np.array(always, np.int64)))
    return [int(row) for row in rows]


def project(vectors: Vectors) -> Points:
    """Project vectors [n, dim] to positions [n, 2]; deterministic on one machine.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008), on principal components.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # with several threads, the order of additions would vary
        components = min(DIMENSIONS, *vectors.shape)
        flat = PCA(components, svd_solver="covariance_eigh").fit_transform(vectors.astype(np.float64))
        method = TSNE(
            2,
            perplexity=min(PERPLEXITY, (len(flat) - 1) / 3),
            init=flat[:, :2] / max(flat[:, 0].std(), 1e-12) * 1e-4,
            max_iter=STEPS,
            random_state=0,
            n_jobs=1,
        )
        return np.asarray(method.fit_transform(flat), np.float64)


def catalogue_map(catalogue: CatalogueTables, samples: Mapping[int, int]) -> Markup:
    """Return the map with its legend, or nothing for very few items. samples: row → number of its card."""
    if catalogue.vectors is None:
        return Markup("")
    rows = drawn_rows(catalogue.vectors, list(samples))
    if len(rows) < FEWEST:
        return Markup("")
    places = _fitted(project(np.asarray(catalogue.vectors[rows], np.float32)))
    every, titles = catalogue.labels(), catalogue.given["title"].to_pylist()
    names, group = colours([every[row] for row in rows])
    parts = []
    for number in range(len(names)):
        dots = [_dot(place, titles[row]) for row, place, own in zip(rows, places, group, strict=True) if own == number]
        parts.append(f'<g class="dots c{_colour(number, names)} d{number}">{"".join(dots)}</g>')
    for row, place in zip(rows, places, strict=True):
        if row in samples:
            ring = _dot(place, f"{samples[row]}. {titles[row]}", "ring")
            parts.append(f'<a href="#item-{samples[row]}">{ring}</a>')
    label = f"{len(rows):,} items by similarity of content, coloured by genre"
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    drawn = tag("figure", _legend(names, group), Markup(picture), class_="atlas")
    return section("Map of the catalogue", caption(_explained(len(rows), len(catalogue))), drawn)


def colours(labels: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """Names of the most frequent genres, and for each item the index of the name that sets its colour: its rarest
    genre among them, which is the most informative. The last name is for all other items."""
    counts = Counter(label for own in labels for label in set(own))
    names = sorted(counts, key=lambda name: (-counts[name], name))[:COLOURED]
    at = {name: number for number, name in enumerate(names)}
    group = [max((at[label] for label in own if label in at), default=len(names)) for own in labels]
    return [*names, "other"], group


def _dot(place: Sequence[float], title: str | None, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}"{style}><title>{text(title or "")}</title></circle>'


def _fitted(places: Points) -> Points:
    """Scale each axis to the picture separately, since t-SNE's distances between far points have no meaning."""
    low, span = places.min(0), np.maximum(np.ptp(places, axis=0), 1e-12)
    fitted: Points = EDGE + (places - low) / span * (np.array([WIDTH, HEIGHT]) - 2 * EDGE)
    return fitted


def _colour(number: int, names: Sequence[str]) -> int:
    return COLOURED if number == len(names) - 1 else number


def _legend(names: Sequence[str], group: Sequence[int]) -> Markup:
    """Radio buttons that dim the other dots, by CSS and without a script."""
    sizes = Counter(group)
    keys = [_key("all", "", "all", len(group))]
    for number, name in enumerate(names):
        if sizes[number]:
            swatch = f'<circle cx="7" cy="7" class="c{_colour(number, names)}"/>'
            picture = f'<svg viewBox="0 0 14 14" width="14" height="14" class="dots" aria-hidden="true">{swatch}</svg>'
            keys.append(_key(f"only-{number}", picture, name, sizes[number]))
    return tag("figcaption", *keys)


def _key(name: str, swatch: str, label: str, size: int) -> Markup:
    checked = " checked" if name == "all" else ""
    button = f'<input type="radio" name="genre" id="{name}"{checked}>'
    return tag("label", Markup(button), Markup(swatch), label, " ", tag("small", f"{size:,}"), class_="key")


def _explained(drawn: int, n: int) -> str:
    what = f"{drawn:,} of {n:,} items, evenly sampled" if drawn < n else f"All {n:,} items"
    return (
        f"{what}, by t-SNE of their content vectors. Nearby dots have similar content; distances between far dots have "
        "no meaning. A dot has the colour of its rarest genre in the legend. Select a genre to highlight it; rings "
        "mark the sample items below."
    )
