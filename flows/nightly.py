"""The deployed flow: one nightly run with the form's values, in a worktree of its own. prefect.yaml points here."""

# ruff: noqa: B008 -- the boxes are frozen
from __future__ import annotations

import os
import time

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows import artifacts, graph, ledger, orphan, overrides, surroundings
from flows.form import Embed, Evaluate, Finetune, Publish, Run, Snapshot, changes
from flows.lock import exclusive, fence
from flows.night import Night, Request
from flows.pool import make_pool_for_prefect
from flows.project import find
from flows.reproduce import Place
from flows.served import channel_of, served
from flows.summary import Summary, summarise
from flows.worktree import worktree
from tasks.stage import UserError

PATIENCE_S = 24 * 3600.0  # a run from the form or the schedule waits for one in a terminal

make_pool_for_prefect()


@flow(name="nightly", persist_result=False)
def nightly(
    snapshot: Snapshot = Snapshot(),
    embed: Embed = Embed(),
    finetune: Finetune = Finetune(),
    evaluate: Evaluate = Evaluate(),
    publish: Publish = Publish(),
    run: Run = Run(),
) -> State[None]:
    """From the source to a published index, in a worktree of its own: the checkout stays as it is.

    Every field may stay empty; it is then as in params.yaml.
    """
    surroundings.settle()
    state = find().state
    ledger.note(state, str(flow_run.id), ledger.FLOW, os.getpid())
    orphan.leave_with(state)
    boxes = {"snapshot": snapshot, "embed": embed, "finetune": finetune, "evaluate": evaluate, "publish": publish}
    began = time.time()
    try:
        artifacts.publish(_night(changes(boxes, run.settings), run, began))
    except UserError as error:
        artifacts.publish_failure(error, served(find(), channel_of(find()), began))
        return Failed(message=str(error))
    return Completed()


def _night(wanted: overrides.Changes, run: Run, began: float) -> Summary:
    project, log = find(), get_run_logger()
    with (
        exclusive(project.state / "locks" / "run.lock", "a run", patience=PATIENCE_S, waiting=log.info) as lock,
        worktree(project, wanted) as copy,
    ):
        log.info("running in %s", copy.root)
        stages = graph.read(copy.root)
        board = artifacts.Board([stage.name for stage in stages])
        request = Request(frozenset(run.force), run.minutes)
        environment = copy.environment(fence(project.state / "locks" / "run.lock"))
        outcomes = Night(stages, Place(copy.root, environment, lock), request, board).run()
        return summarise(copy, outcomes, run.k, began)
