"""The report's sections in order. To add one, write a function of RunFacts and list it here.

A section without data returns empty markup and is omitted. Sections read the run's files from `facts.documents` (JSON)
and `facts.curves` (CSV), so that a stage can add a file without changes elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from nightreel.report.markup import Markup
from nightreel.report.run_files import RunFacts
from nightreel.report.sections import decision, details, sample_users, slices, verdict
from nightreel.report.sections.data_drift import drift
from nightreel.report.sections.heads import heads
from nightreel.report.sections.logs import logs
from nightreel.report.sections.model_card import model_card
from nightreel.report.sections.new_items import new_items
from nightreel.report.sections.ratings import ratings

Section = Callable[[RunFacts], Markup]

SECTIONS: tuple[Section, ...] = (
    # The decision and its basis.
    decision.rules,
    verdict.versus,
    verdict.models,
    verdict.members,
    ratings,
    heads,
    verdict.slices,
    slices.everything,
    verdict.behaviours,
    verdict.groups,
    # Other measurements.
    details.curves,
    details.long_tail,
    details.newcomers,
    new_items,
    drift,
    logs,
    # Sample users, data and cost.
    sample_users.people,
    details.accounting,
    model_card,
    details.cost,
)
