# ruff: noqa: B008 -- the boxes are frozen
"""Deployed flows of a part of a night: evaluate only, publish only."""

from __future__ import annotations

import time
from dataclasses import replace

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.beginning import PATIENCE_S, begin, reported
from flows.form import EmbedForm, EvaluateForm, FinetuneForm, Run, SnapshotForm, changes
from nightreel.errors import UserError
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import StageEnvironment
from nightreel.orchestration.lock import exclusive, fence
from nightreel.orchestration.nights.recorder import recorded
from nightreel.orchestration.prefect import artifacts
from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request
from nightreel.orchestration.project import Project
from nightreel.orchestration.summary import RunSummary, summarise
from nightreel.orchestration.worktree import worktree
from nightreel.stage import prepare_state
from nightreel.store.fence import run_lock
from nightreel.store.open import open_store

LAST = "evaluate"


@flow(name="evaluate", persist_result=False)
def evaluate(
    snapshot: SnapshotForm = SnapshotForm(),
    embed: EmbedForm = EmbedForm(),
    finetune: FinetuneForm = FinetuneForm(),
    evaluate: EvaluateForm = EvaluateForm(),
    run: Run = Run(),
) -> State[None]:
    """Train and judge a candidate as a night does, and change nothing that is served.

    Empty fields keep the values of params.yaml. It is no night: the history and the status don't have it.
    """
    boxes = {"snapshot": snapshot, "embed": embed, "finetune": finetune, "evaluate": evaluate}
    try:
        summary = _evaluated(begin(), changes(boxes, run.settings) | {"publish.dry_run": True}, run)
    except UserError as error:
        artifacts.publish_failure(error)
        return Failed(message=str(error))
    artifacts.publish(summary)
    return Completed(message=summary.sentence)


def _evaluated(project: Project, wanted: dict[str, object], run: Run) -> RunSummary:
    log, began = get_run_logger(), time.time()
    prepare_state(project.state)
    with (
        exclusive(run_lock(project.state), "a run", patience=PATIENCE_S, waiting=log.info) as lock,
        worktree(project, wanted) as copy,
    ):
        stages = pipeline.read(copy.root)
        only = pipeline.closure(stages, LAST)
        board = artifacts.ProgressArtifacts([stage.name for stage in stages if stage.name in only])
        place = StageEnvironment(copy.root, copy.environment(fence(run_lock(project.state))), lock)
        outcomes = NightlyRun(stages, place, Request(frozenset(run.force), run.minutes, only), board).run()
        found = summarise(copy, outcomes, run.k, began)
        # What an earlier night published is in the copy, too.
        return replace(found, digest=None, published="nothing: this run evaluates only", sample=None)


@flow(name="publish", persist_result=False)
def publish(night: str = "") -> State[None]:
    """Publish what an earlier night made, without training again: a dry run, or a night that could not be published.

    What is live must still be what the night was compared with.

    Args:
        night: Its id, as in `nightreel nights --json`. Empty: the last night that made a version.
    """
    return reported(lambda project: _published(project, night.strip()))


def _published(project: Project, night: str) -> str:
    from nightreel.orchestration.nights.publication import STAGES, at_night

    log = get_run_logger()
    prepare_state(project.state)
    with (
        exclusive(run_lock(project.state), "a run", patience=PATIENCE_S, waiting=log.info) as lock,
        at_night(project, open_store(), night) as copy,
        recorded(project, copy, "form", str(flow_run.id)) as entry,
    ):
        stages, environment = (
            pipeline.read(copy.root),
            copy.environment(fence(run_lock(project.state)) | entry.environment),
        )
        place = StageEnvironment(copy.root, environment, lock)
        board = artifacts.ProgressArtifacts(STAGES)
        outcomes = NightlyRun(stages, place, Request(frozenset(STAGES), only=frozenset(STAGES)), board).run()
        done = entry.succeeded(outcomes)
        version = f" {done.version[:12]}" if done and done.version else ""
        return f"{done.outcome if done else 'published'}{version}\n{done.reason if done else ''}".strip()
