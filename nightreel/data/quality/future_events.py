"""Events with timestamps later than the run that reads them; no correct clock can have produced them.

They are quarantined when the source is read, where the time of the run is known, because later stages don't depend on
a clock. They stay quarantined until the source changes, so that a run without new data has the same result.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nightreel.data.contract.tables import AHEAD_S
from nightreel.data.daily_files import LATEST
from nightreel.data.ingest.timestamps import MICROS
from nightreel.data.quality.row_checks import CLOCK
from nightreel.data.quality.violations import Violations

RULE = "in the future"
NO_CALENDAR = int((LATEST + 1).astype("datetime64[us]").astype(np.int64))
"""µs since 1970 of the first time that is not a date, but a number in another unit than its neighbours."""


def without_future(events: pa.Table, clock: str, now: float, *, private: bool) -> tuple[pa.Table, pa.Table]:
    """Quarantine events that are more than contract.tables.AHEAD_S seconds later than now.

    Args:
        events: Typed events, timestamps in µs since 1970.
        clock: `time`; under `order` timestamps are positions, and nothing is quarantined.
        now: Time of the run, epoch seconds; inf accepts everything.
        private: Whether users are pseudonyms, see privacy.redacted.

    Returns:
        (accepted events, the others as schema.SET_ASIDE).
    """
    marks = Violations(events.num_rows)
    if clock == "time":
        times = events["timestamp"].to_numpy()
        marks.mark(times >= NO_CALENDAR, CLOCK, "timestamp")
        marks.mark(times > (now + AHEAD_S) * MICROS, RULE, "timestamp")
    late = marks.set_aside("events", events, private=private, clock=clock)
    return (events.filter(pa.array(marks.clean)) if late.num_rows else events), late
