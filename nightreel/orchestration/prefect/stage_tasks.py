"""One nightly run: every stage of dvc.yaml as a Prefect task, in order. Every run through Prefect uses this."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Protocol

from prefect import allow_failure, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed

from nightreel.orchestration.dvc.pipeline import Stage, shown
from nightreel.orchestration.dvc.stage_run import (
    Log,
    Outcome,
    StageEnvironment,
    StageFailed,
    reproduce,
    run_directly,
    unchanged,
)

RETRIES_S = (10.0, 60.0)  # pauses before a stage is retried after a temporary failure


@dataclass(frozen=True)
class Request:
    """Options of one run. force: stages to rerun; minutes: time limit of a stage, None for no limit; only: stages to
    run, None for all."""

    force: frozenset[str] = frozenset()
    minutes: float | None = None
    only: frozenset[str] | None = None

    def has(self, stage: Stage) -> bool:
        """Whether the run has this stage."""
        return self.only is None or stage.name in self.only


class Watcher(Protocol):
    """Progress listener: the terminal, or Prefect's artifacts."""

    def begin(self, stage: str) -> None:
        """Handle the start of a stage."""

    def line(self, stage: str, text: str) -> None:
        """Handle a line of a stage's output."""

    def end(self, outcome: Outcome) -> None:
        """Handle the end of a stage."""


class NightlyRun:
    """Runs the stages in order. DVC decides what is stale; Prefect shows progress, retries and stops."""

    def __init__(self, stages: tuple[Stage, ...], place: StageEnvironment, request: Request, watcher: Watcher) -> None:
        self.stages = stages
        self.place = place
        self.request = request
        self.watcher = watcher
        self.outcomes: list[Outcome] = []
        self._skippable: frozenset[str] | None = None
        self._failure: StageFailed | None = None

    def run(self) -> list[Outcome]:
        """Run the stages; after a failure, `record` still records the run. Raises the failed stage's exception."""
        states: dict[str, State[Any]] = {}
        edges = shown(self.stages)
        for stage in filter(self.request.has, self.stages):
            self.watcher.begin(stage.name)
            before = [states[name] for name in edges[stage.name] if name in states]
            state = self._task(stage)(wait_for=before, return_state=True)
            states[stage.name] = state
            if not state.is_completed():
                cause = self._failure or StageFailed(stage.name, 1, f"{stage.name}: {state.message}")
                self._record_failure(stage, state, cause)
                raise cause
        return self.outcomes

    def _task(self, stage: Stage) -> Any:
        """The Prefect task of a stage. Only temporary failures of stages that access the outside world are retried."""

        def work() -> State[None]:
            try:
                outcome = self._outcome(stage)
            except StageFailed as error:
                self._failure = error
                if error.temporary:
                    raise  # Prefect retries what was raised
                return Failed(message=str(error))
            self.outcomes.append(outcome)
            self.watcher.end(outcome)
            name = {"ran": "Completed", "cached": "Cached", "unchanged": "Unchanged"}[outcome.how]
            return Completed(name=name, message=f"{outcome.how} in {outcome.seconds:.1f} s")

        return task(
            name=stage.name,
            task_run_name=stage.name,
            description=f"dvc repro --single-item {stage.name}",
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=len(RETRIES_S) if stage.outside else 0,
            retry_delay_seconds=list(RETRIES_S),
            retry_condition_fn=_temporary,
            timeout_seconds=self.request.minutes * 60 if self.request.minutes else None,
        )(work)

    def _outcome(self, stage: Stage) -> Outcome:
        force = stage.name in self.request.force
        if not (force or stage.outside):
            if self._skippable is None:
                self._skippable = unchanged(self.place, [s.name for s in self.stages if not s.outside])
            if stage.name in self._skippable:
                return Outcome(stage.name, "unchanged", 0.0)
        outcome = reproduce(stage.name, self.place, self._log(stage.name), force=force)
        if not stage.outside and outcome.how != "unchanged":
            self._skippable = frozenset()  # its outs are new, so DVC must check each later stage
        return outcome

    def _log(self, stage: str) -> Log:
        return lambda text: self.watcher.line(stage, text)

    def _record_failure(self, stage: Stage, state: State[Any], cause: StageFailed) -> None:
        """Run the last stage directly to record the failure; DVC can't run it, since its dependencies are missing."""
        last = self.stages[-1]
        if stage is last or not self.request.has(last):
            return
        command = f"{last.command} --failed {stage.name} --reason {shlex.quote(str(cause))}"
        task(name=last.name, task_run_name=last.name, cache_policy=NO_CACHE, persist_result=False)(
            lambda: run_directly(command, self.place, self._log(last.name))
        )(wait_for=[allow_failure(state)], return_state=True)


def _temporary(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Whether the cause of a failed state is temporary."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and error.temporary
