"""The deployed flow: one nightly run with the form's values, in its own worktree. prefect.yaml points here."""

# ruff: noqa: B008 -- the boxes are frozen
from __future__ import annotations

import time

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.beginning import PATIENCE_S, begin
from flows.form import EmbedForm, EvaluateForm, FinetuneForm, PublishForm, Run, SnapshotForm, changes
from nightreel.errors import UserError
from nightreel.monitoring.night import Night, Trigger
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import StageEnvironment
from nightreel.orchestration.live_version import channel_of, served
from nightreel.orchestration.lock import exclusive, fence
from nightreel.orchestration.nights.recorder import recorded
from nightreel.orchestration.prefect import artifacts
from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request
from nightreel.orchestration.prefect.work_pool import make_pool_for_prefect
from nightreel.orchestration.project import find
from nightreel.orchestration.summary import RunSummary, summarise
from nightreel.orchestration.worktree import worktree
from nightreel.stage import prepare_state
from nightreel.store.fence import run_lock

make_pool_for_prefect()


@flow(name="nightly", persist_result=False)
def nightly(
    snapshot: SnapshotForm = SnapshotForm(),
    embed: EmbedForm = EmbedForm(),
    finetune: FinetuneForm = FinetuneForm(),
    evaluate: EvaluateForm = EvaluateForm(),
    publish: PublishForm = PublishForm(),
    run: Run = Run(),
) -> State[None]:
    """Train, evaluate and publish a recommender, in a copy of the checkout.

    Empty fields keep the values of params.yaml.
    """
    begin()
    boxes = {"snapshot": snapshot, "embed": embed, "finetune": finetune, "evaluate": evaluate, "publish": publish}
    began = time.time()
    try:
        summary, night = _night(changes(boxes, run.settings), run, began)
    except UserError as error:
        artifacts.publish_failure(error, served(find(), channel_of(find()), began))
        return Failed(message=str(error))
    artifacts.publish(summary)
    if night is None or night.good:
        return Completed()
    # No green tick for a night after which nothing new is live.
    return Completed(name=night.outcome.capitalize(), message=night.reason)


def _night(wanted: overrides.Changes, run: Run, began: float) -> tuple[RunSummary, Night | None]:
    project, log = find(), get_run_logger()
    prepare_state(project.state)
    with (
        exclusive(run_lock(project.state), "a run", patience=PATIENCE_S, waiting=log.info) as lock,
        worktree(project, wanted) as copy,
        recorded(project, copy, _trigger(), str(flow_run.id)) as night,
    ):
        log.info("the run's worktree is %s", copy.root)
        stages = pipeline.read(copy.root)
        board = artifacts.ProgressArtifacts([stage.name for stage in stages])
        request = Request(frozenset(run.force), run.minutes)
        environment = copy.environment(fence(run_lock(project.state)) | night.environment)
        outcomes = NightlyRun(stages, StageEnvironment(copy.root, environment, lock), request, board).run()
        done = night.succeeded(outcomes)
        return summarise(copy, outcomes, run.k, began), done


def _trigger() -> Trigger:
    """Whether the schedule or a person started this run."""
    context = FlowRunContext.get()
    return "schedule" if context and context.flow_run and context.flow_run.auto_scheduled else "form"
