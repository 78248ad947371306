"""A night as a Prefect flow in the process that asks for one: `nightreel run` and `nightreel replay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect import flow
from prefect.runtime import flow_run

T = TypeVar("T")


def run(name: str, work: Callable[[str], T]) -> T:
    """Run `work` inside a flow, so that its stages are seen on Prefect's pages.

    Args:
        name: The flow's name, as the pages show it.
        work: Called with the id of the flow run.

    Returns:
        What `work` returns; what it raises is raised.
    """

    @flow(name=name, persist_result=False, validate_parameters=False)
    def night() -> T:
        return work(str(flow_run.id))

    return night()
