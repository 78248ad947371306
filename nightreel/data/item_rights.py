"""Rights of items: which of them may be shown at a given time. No other module decides this."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.data.arrow_columns import numbers
from nightreel.data.contract.schema import MOMENT

Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
MICROS = 1e6


@dataclass(frozen=True, eq=False)
class Rights:
    """Rights of each item of a table.

    Attributes:
        blocked: [n] whether it may never be shown.
        published: [n] start of availability, epoch seconds; -inf for none.
        expires: [n] end of availability, epoch seconds; +inf for none.
    """

    blocked: Mask
    published: FloatArray
    expires: FloatArray

    @classmethod
    def of(cls, items: pa.Table) -> Rights:
        """Read from an items table; missing columns and empty cells restrict nothing."""
        n, names = items.num_rows, items.column_names
        blocked = np.zeros(n, bool)
        if "blocked" in names:
            blocked = numbers(items["blocked"].cast(pa.uint8()), 0) > 0
        published, expires = np.full(n, -np.inf), np.full(n, np.inf)
        if "published_at" in names:
            published = _seconds(items["published_at"], -np.inf)
        if "expires_at" in names:
            expires = _seconds(items["expires_at"], np.inf)
        return cls(blocked, published, expires)

    def hidden(self, instant: float) -> Mask:
        """[n] items that may not be shown at a time, epoch seconds."""
        return self.blocked | (self.published > instant) | (self.expires <= instant)

    def edges(self) -> list[float]:
        """Ascending times at which `hidden` changes."""
        shown = ~self.blocked & (self.published < self.expires)
        both = np.concatenate([self.published[shown], self.expires[shown]])
        return [float(at) for at in np.unique(both[np.isfinite(both)])]


def _seconds(moments: pa.ChunkedArray, empty: float) -> FloatArray:
    """[n] epoch seconds; `empty` for cells without a time."""
    micros = numbers(moments.cast(MOMENT).cast(pa.int64()).cast(pa.float64(), safe=False), np.nan)
    return np.where(np.isnan(micros), empty, micros / MICROS)
