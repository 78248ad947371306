"""Exploration that learns: some places of a list go to items of which little is known, by Thompson sampling.

A draw from the posterior says how well each such item would be taken; the items that do best in it get the places. So
an item that may be good is shown until it is known, and one that was shown and not taken loses its places.

Draws are made when a request comes, from a seed of version, user, day and the request's own. The draw that counts is
the first of DRAWS, and the propensity of an item is the share of the DRAWS in which it gets a place. As the draws are
exchangeable, the item is shown with exactly this probability, given the set of draws: weights of 1 / propensity are
unbiased, but for items that almost no draw would show. How many places are drawn has a known distribution.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.bundle.editorial_rules import InForce
from nightreel.bundle.exploration import SHARE
from nightreel.bundle.item_table import Mask
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.exploration.content_space import PROFILE
from nightreel.models.exploration.posterior import TakePosterior
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import RequestOptions
from nightreel.reader.slates.slate import EXPLORED, NO_RULES, PICKED, Slate, caps_of

DRAWS = 1000
MOST = 32  # candidates of a request: those that fit the history best, and better than most items
QUARTER, LEAST = 0.25, 16  # share of the items that fit which are candidates, but no fewer than LEAST
UNDER_CAPS = 4  # times as many are looked at where caps leave some out

Fits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Exploration:
    """Exploration of one request. share: of the places, 0 to 1; key: what the draws depend on."""

    share: float
    key: tuple[str, ...]

    def generator(self, page: int) -> np.random.Generator:
        """The random generator of a page of the list, counted from 0."""
        told = json.dumps([*self.key, page]).encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(told).digest()[:16], "big"))


def exploration_of(
    bundle: OpenBundle, options: RequestOptions, user: str | None, history: Sequence[str] | None, day: int
) -> Exploration | None:
    """How a request explores; None if it does not, or if the version knows nothing to explore by.

    Args:
        bundle: The open version.
        options: The request's options.
        user: The user's id, if there is one.
        history: The history that the request names, if it does.
        day: Number of the day.
    """
    share = options.explore if options.explore is not None else float(bundle.config.get(SHARE, 0.0))
    if bundle.exploration is None or share <= 0.0:
        return None
    who = ("user", user or "") if history is None else ("history", *history)
    return Exploration(share, (bundle.digest, str(day), str(options.seed), *who))


def explored(
    bundle: OpenBundle,
    slate: Slate,
    past: Histories,
    exploration: Exploration,
    page: int,
    options: RequestOptions,
    never: Mask,
    ruled: InForce | None,
) -> Slate:
    """Give places of a list to items of which little is known; pins keep theirs, and caps hold.

    Args:
        bundle: The open version.
        slate: The list without exploration.
        past: The history, one row.
        exploration: How the request explores.
        page: Number of the list's page, from 0.
        options: The request's options.
        never: [n_items] items that may not be shown.
        ruled: Editorial rules in force.
    """
    posterior = bundle.exploration
    pins = slate.ways.count(PICKED)
    free = len(slate.items) - pins
    if posterior is None or not free:
        return slate
    at, fits = _candidates(bundle, posterior, slate, past, options, never, ruled or NO_RULES)
    number = places_drawn(free, exploration.share, len(at))
    if len(number) < 2:
        return slate
    generator = exploration.generator(page)
    order, chances = _ranked(posterior.draws(at, fits, DRAWS, generator), number)
    places = int(generator.choice(len(number), p=number))
    drawn = order[:places]
    into = pins + np.sort(generator.choice(free, places, replace=False))
    # The last of the free places is kept if nothing is drawn, the one before it if at most one item is, and so on.
    kept = np.ones(len(slate.items))
    kept[len(kept) - len(number) + 1 :] = np.cumsum(number)[-2::-1]
    return _with_drawn(slate, posterior.rows[at[drawn]], chances[drawn], kept * slate.propensities, into)


def places_drawn(free: int, share: float, candidates: int) -> FloatArray:
    """Distribution of the number of places that are drawn: each place is with probability `share`, on its own, but no
    more of them than there are candidates, or than ever come by chance (4 standard deviations).

    So every place of the list without exploration is kept with some probability, and the log supports other lists.

    Args:
        free: Places that may be drawn, at least 1.
        share: 0 to 1.
        candidates: Number of candidates.

    Returns:
        [m] probabilities of 0, 1, …, m - 1 places.

    Example:
        >>> places_drawn(2, 0.5, 10).tolist()
        [0.25, 0.5, 0.25]
        >>> places_drawn(2, 0.5, 1).tolist()
        [0.25, 0.75]
    """
    usual = math.ceil(free * share + 4.0 * math.sqrt(free * share * (1.0 - share)))
    most = min(free, candidates, usual)
    chances = np.array([math.comb(free, n) * share**n * (1.0 - share) ** (free - n) for n in range(most + 1)])
    chances[most] = max(1.0 - chances[:most].sum(), 0.0)
    return chances


def _ranked(draws: Fits, number: FloatArray) -> tuple[IntArray, FloatArray]:
    """Positions of the candidates that are best in the first draw, best first; and each candidate's probability.

    Args:
        draws: [c, DRAWS] how well each candidate is taken.
        number: [m] of `places_drawn`.
    """
    most = len(number) - 1
    best = np.argpartition(-draws, most - 1, axis=0)[:most]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(draws, best, axis=0), axis=0, kind="stable"), axis=0)
    more = 1.0 - np.cumsum(number)[:-1]  # that there is a place for the first, the second, …
    weights = np.repeat(more, draws.shape[1])
    return best[:, 0], np.bincount(best.ravel(), weights, len(draws)) / draws.shape[1]


def _with_drawn(slate: Slate, items: IntArray, chances: FloatArray, kept: FloatArray, into: IntArray) -> Slate:
    """The list with drawn items at the places `into`, ascending; as many of its last items make room."""
    rest = len(slate.items) - len(items)
    own = iter(range(rest))
    new = iter(range(len(items)))
    taken = set(into.tolist())
    rows = [(True, next(new)) if place in taken else (False, next(own)) for place in range(len(slate.items))]
    return Slate(
        np.array([items[at] if drawn else slate.items[at] for drawn, at in rows], np.int64),
        np.array([np.nan if drawn else slate.scores[at] for drawn, at in rows]),
        np.array([chances[at] if drawn else kept[at] for drawn, at in rows]),
        tuple(EXPLORED if drawn else slate.ways[at] for drawn, at in rows),
    )


def _candidates(
    bundle: OpenBundle,
    posterior: TakePosterior,
    slate: Slate,
    past: Histories,
    options: RequestOptions,
    never: Mask,
    rules: InForce,
) -> tuple[IntArray, Fits]:
    """Positions in the posterior's rows of the items that may be drawn, best fitting first, and how well they fit."""
    rows = posterior.rows
    may = ~never[rows] & ~np.isin(rows, slate.items)
    if past.disliked is not None:
        may &= ~np.isin(rows, past.disliked.items)
    if options.buried:
        may &= ~np.isin(rows, bundle.items.rows_of(options.buried))
    if rules.offset is not None:
        may &= rules.offset[rows] >= 0
    profile = posterior.space.profile(bundle.vectors[past.items[-PROFILE:]])
    fits = posterior.content @ profile
    if options.skipped:
        skipped = posterior.space.reduced(bundle.vectors[bundle.items.rows_of(options.skipped)])
        fits = fits - np.clip((posterior.content @ skipped.T).max(axis=1, initial=0.0), 0.0, None)
    # More than an item usually does, since the space is centered. Without a history all fit alike, and the rows' own
    # order counts, which is by what may be expected of them.
    may &= fits > 0.0 if profile.any() else fits >= 0.0
    open_ones = np.flatnonzero(may)
    wanted = min(MOST, max(LEAST, math.ceil(QUARTER * len(open_ones))))
    best = open_ones[np.argsort(-fits[open_ones], kind="stable")]
    caps = caps_of(options, rules, bundle.facets, np.empty(0, np.int64))
    if not caps:
        return best[:wanted], fits[best[:wanted]]
    within = _within_caps(bundle, slate.items, rows[best[: UNDER_CAPS * wanted]], options, rules)
    best = best[: UNDER_CAPS * wanted][within][:wanted]
    return best, fits[best]


def _within_caps(
    bundle: OpenBundle, listed: IntArray, rows: IntArray, options: RequestOptions, rules: InForce
) -> npt.NDArray[np.bool_]:
    """[c] whether an item may be drawn: with the whole list and all items before it that may, no cap is exceeded. So
    any of them may be drawn together."""
    caps = caps_of(options, rules, bundle.facets, np.concatenate([listed, rows]))
    used: list[Counter[Hashable]] = [
        Counter(label for row in cap.labels[: len(listed)] for label in row) for cap in caps
    ]
    within = np.zeros(len(rows), bool)
    for number in range(len(rows)):
        labels = [cap.labels[len(listed) + number] for cap in caps]
        within[number] = all(used[i][label] < caps[i].most for i in range(len(caps)) for label in labels[i])
        if within[number]:
            for i, row in enumerate(labels):
                used[i].update(row)
    return within
