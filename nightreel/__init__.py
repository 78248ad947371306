"""Nightreel's public API: `from nightreel import Reader`. It needs the base install only.

Names are imported lazily, on first use, so that a stage or a command imports no more than it needs.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nightreel.version import __version__

if TYPE_CHECKING:
    from nightreel.errors import UserError
    from nightreel.models.top_k import TopK
    from nightreel.reader.live_reader import LiveReader
    from nightreel.reader.options import RequestOptions
    from nightreel.reader.reader import Reader
    from nightreel.reader.requests.recent_events import Event, RecentEvents
    from nightreel.reader.results import Explanation, Reason, Recommendation, Similar

__all__ = [
    "Event",
    "Explanation",
    "LiveReader",
    "Reader",
    "Reason",
    "RecentEvents",
    "Recommendation",
    "RequestOptions",
    "Similar",
    "TopK",
    "UserError",
    "__version__",
]

_HOMES = {
    "UserError": "nightreel.errors",
    "LiveReader": "nightreel.reader.live_reader",
    "RequestOptions": "nightreel.reader.options",
    "Reader": "nightreel.reader.reader",
    "Event": "nightreel.reader.requests.recent_events",
    "RecentEvents": "nightreel.reader.requests.recent_events",
    **dict.fromkeys(("Explanation", "Reason", "Recommendation", "Similar", "TopK"), "nightreel.reader.results"),
}


def __getattr__(name: str) -> Any:
    if name == "Wishes":
        warnings.warn("nightreel.Wishes is now called RequestOptions", DeprecationWarning, stacklevel=2)
        name = "RequestOptions"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
