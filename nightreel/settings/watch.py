"""Section `watch` of params.yaml: when `nightreel status` and `nightreel watch` find something wrong."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section


class Watch(Section):
    late_minutes: Annotated[float, Field(gt=0)]
    """Minutes after which a night that has not begun is missed, and a running one that does nothing is stuck."""
    longest_hours: Annotated[float, Field(gt=0)]
    """Hours after which a running night is reported, whatever it does. Choose more than the longest good night."""
    oldest_hours: Annotated[float, Field(gt=0)]
    """Age of the live version, in hours, from which it is reported. Choose more than the time between two nights."""
