"""What validate tells of clean data: facts for its report, and warnings of what is no fault but worth knowing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nightreel.data.quality import editorial_checks, feedback_labels, report, showable_items
from nightreel.data.quality.clean import Clean
from nightreel.data.quality.row_counts import bad_days, lost_requests, odd_clocks
from nightreel.data.rules_together import RulesTogether
from nightreel.data.split_protocols import ProtocolChoice
from nightreel.data.splits import Events
from nightreel.settings.validate import Validate


def warnings_of(clean: Clean, settings: Validate, exclude_seen: bool, returning: float) -> list[str]:
    """Warnings about the data, none of which is an error."""
    warnings = [
        *odd_clocks(clean.accounts),
        *lost_requests(clean.accounts),
        *bad_days(clean.row_outcomes, settings.quarantine_share, settings.part_rows),
    ]
    warnings += [
        *showable_items.mostly_blocked(clean.items),
        *filter(None, [editorial_checks.quarantined_warning(clean.quarantine)]),
        *filter(None, [editorial_checks.unmatched_warning(clean.rules, clean.items)]),
        *filter(None, [RulesTogether(clean.rules.to_pylist(), clean.items, clean.ends).warning()]),
    ]
    if not exclude_seen:
        warnings.append(
            f"lists may contain seen items (validate.exclude_seen: {settings.exclude_seen}): {returning:.1%} of the "
            "interactions are with an item that the user already knew."
        )
    if feedback_labels.thresholds(clean.events, settings) is settings.positive_else:
        warnings.append(
            f"no event is positive by validate.positive; {', '.join(settings.positive_else)} count as positive instead."
        )
    return warnings


def describe(
    clean: Clean, events: Events, choice: ProtocolChoice, positive: str, clock: str, exclude_seen: bool, until: float
) -> dict[str, Any]:
    """Facts about the clean data, for the report. positive: which events are; until: the time at which the data end."""
    users, items = len(clean.user_ids), clean.items.num_rows
    pairs = np.unique(events.user.astype(np.int64)[events.positive] << 32 | events.item[events.positive])
    return {
        "users": users,
        "items": items,
        "events": len(events),
        "clock": clock,
        "exclude_seen": exclude_seen,
        "begins": report.day(float(events.time.min()), clock),
        "ends": report.day(until, clock),
        "positive": positive,
        "positive_share": float(events.positive.mean()),
        "density": len(pairs) / (users * items),
        "cold_item_share": 1 - len(np.unique(events.item[events.item >= 0])) / items,
        "gate": choice.gate,
        "test_users": ", ".join(f"{name} {protocol.users:,}" for name, protocol in choice.protocols.items()),
    }
