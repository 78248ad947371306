"""What every deployed flow does first, and how its errors are shown."""

from __future__ import annotations

import os
from collections.abc import Callable

from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from nightreel.errors import UserError
from nightreel.markdown_text import fenced
from nightreel.orchestration import environment_paths, parent_watch
from nightreel.orchestration.project import Project, find
from nightreel.orchestration.services import process_ledger

PATIENCE_S = 24 * 3600.0  # a run from the form or the schedule waits for one in a terminal


def begin() -> Project:
    """Tie this process to its run and to the `nightreel up` that started it; returns the checkout."""
    environment_paths.settle()
    project = find()
    process_ledger.note(project.state, str(flow_run.id), process_ledger.FLOW, os.getpid())
    parent_watch.leave_with(project.state)
    return project


def reported(work: Callable[[Project], str]) -> State[None]:
    """Do a flow's work and show the result, or the error, as the run's summary.

    Args:
        work: Returns what it did, in words, with the most important line first.
    """
    try:
        told, make = work(begin()), Completed
    except UserError as error:
        told, make = str(error), Failed
    create_markdown_artifact(markdown=fenced(told), key="summary", description=told.splitlines()[0][:200])
    return make(message=told)
