"""The parts of the report in their order: a new one is a function of RunFacts and a line here.

A part of which the run says nothing returns empty markup and is left out. Its module reads the run's files from
`facts.documents` (JSON) and `facts.curves` (CSV), so that a stage can add a file without a change to the others.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.report import decision, details, judgement, people, slices
from tasks.report.drift import drift
from tasks.report.facts import RunFacts
from tasks.report.logs import logs
from tasks.report.markup import Markup
from tasks.report.model_card import model_card
from tasks.report.ratings import ratings

Section = Callable[[RunFacts], Markup]

SECTIONS: tuple[Section, ...] = (
    # The decision and what it rests on.
    decision.rules,
    judgement.versus,
    judgement.models,
    judgement.members,
    ratings,
    judgement.slices,
    slices.everything,
    judgement.behaviours,
    judgement.groups,
    # What else was measured.
    details.curves,
    details.long_tail,
    details.newcomers,
    drift,
    logs,
    # People, data and cost.
    people.people,
    details.accounting,
    model_card,
    details.cost,
)
