"""A nightly run as a Prefect flow in the calling process, for `nightreel run` and `nightreel replay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect import flow
from prefect.runtime import flow_run

T = TypeVar("T")


def run(name: str, work: Callable[[str], T]) -> T:
    """Run `work` inside a flow, so that Prefect's UI shows its stages.

    Args:
        name: The flow's name in the UI.
        work: Called with the id of the flow run.

    Returns:
        The result of `work`; its exceptions are passed on.
    """

    @flow(name=name, persist_result=False, validate_parameters=False)
    def night() -> T:
        return work(str(flow_run.id))

    return night()
