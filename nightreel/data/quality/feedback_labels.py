"""Feedback labels: which events count as positive, negative and seen, set by parameters per event type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.gains import RELEVANT, gains_of
from nightreel.data.contract.verdicts import DISLIKES
from nightreel.data.ingest.casting import mask_of
from nightreel.data.quality.violations import Mask
from nightreel.data.sittings import CONSUMING
from nightreel.data.splits import Events
from nightreel.settings.validate import Validate

REPEATED = ("music", "podcast")
"""Media types with repeat consumption."""
ENOUGH = 100
WATCHED = 0.5
"""Least part of an item that counts as watched where the log does not tell what was shown."""


def at_least(events: pa.Table, thresholds: Mapping[Any, float]) -> Mask:
    """[n] events of a listed type whose value reaches its threshold, or that have no value (NaN)."""
    reached = np.zeros(events.num_rows, bool)
    for event, least in thresholds.items():
        enough = pc.or_(pc.greater_equal(events["value"], np.float32(least)), pc.is_nan(events["value"]))
        reached |= mask_of(pc.and_(pc.equal(events["event"], event), enough))
    return reached


def below(events: pa.Table, thresholds: Mapping[Any, float]) -> Mask:
    """[n] events of a listed type whose value is below its threshold; an event without a value is not."""
    under = np.zeros(events.num_rows, bool)
    for event, least in thresholds.items():
        low = pc.less(events["value"], np.float32(least))
        under |= mask_of(pc.and_(pc.equal(events["event"], event), low))
    return under


def of_types(events: pa.Table, types: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """[n] events of one of the types."""
    return mask_of(pc.is_in(events["event"], pa.array(types, pa.string())))


def thresholds(events: pa.Table, settings: Validate) -> Mapping[Any, float]:
    """Thresholds for positive events: `positive`, or `positive_else` if no event reaches them (a log of comments)."""
    usual = {event: watch_from(events) if least == "auto" else least for event, least in settings.positive.items()}
    return usual if at_least(events, usual).any() else settings.positive_else


def in_words(least: Mapping[Any, float]) -> str:
    """Thresholds as people read them: `play, watch ≥ 0.5, like`."""
    return ", ".join(f"{event} ≥ {value:g}" if value else str(event) for event, value in least.items())


def watch_from(events: pa.Table) -> float:
    """Least part of an item whose watch is positive, from what the log holds.

    Any, where it tells what was shown: it holds impressions, or most watches are short, as where each video starts by
    itself. What was shown together belongs together, and the gain says how much of it was wanted. Else WATCHED; so too
    where fewer than ENOUGH watches tell what is usual.
    """
    watches = of_types(events, ("watch",))
    shown, watched = int(of_types(events, ("impression",)).sum()), int(watches.sum())
    short = int((watches & below(events, {"watch": WATCHED})).sum())
    return 0.0 if 2 * shown >= watched or (watched >= ENOUGH and 2 * short > watched) else WATCHED


def leaves_out_seen(settings: Validate, media_types: pa.ChunkedArray, returning: float) -> bool:
    """Resolve exclude_seen: `auto` is on unless most items are music or podcasts and users do return to them.

    returning: share of the sittings that are returns, see nightreel.data.sittings.
    """
    if settings.exclude_seen != "auto":
        return settings.exclude_seen == "on"
    comes_back = 2 * int(mask_of(pc.is_in(media_types, pa.array(REPEATED))).sum()) > len(media_types)
    return not comes_back or returning < settings.repeat_share


def label(events: pa.Table, settings: Validate) -> pa.Table:
    """Clean events with the columns positive, negative, seen and gain."""
    negative = at_least(events, settings.negative) | below(events, settings.negative_below)
    flags = {
        "positive": at_least(events, thresholds(events, settings)),
        "negative": negative,
        "seen": of_types(events, settings.seen) | (negative & of_types(events, DISLIKES)),
        "gain": gains_of(events, settings.gain),
    }
    at = events.column_names.index("value") + 1
    for offset, (name, flag) in enumerate(flags.items()):
        events = events.add_column(at + offset, name, pa.array(flag))
    return events


def as_arrays(events: pa.Table) -> Events:
    """The columns that splitting needs; only an event with an item can be positive or seen."""
    column = {name: events[name].to_numpy() for name in ("user", "item", "time", "positive", "seen", "gain")}
    named = column["item"] >= 0
    positive = column["positive"] & named
    relevant = positive & (column["gain"] >= RELEVANT)
    return Events(column["user"], column["item"], column["time"], positive, column["seen"] & named, relevant)


def kinds(events: pa.Table) -> npt.NDArray[np.int64]:
    """[n] index in sittings.CONSUMING of each event; -1: none of them."""
    found = pc.index_in(events["event"].cast(pa.string()), pa.array(CONSUMING))
    kind: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return kind


def once(events: pa.Table, kept: Mask) -> pa.Table:
    """Events of which only those of `kept` [n] are positive."""
    return events.set_column(events.column_names.index("positive"), "positive", pa.array(kept))
