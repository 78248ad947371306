"""`nightreel run`: one nightly run in this terminal, in the checkout, or in a worktree if settings are changed."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from nightreel.cli.terminal_view import TerminalView
from nightreel.errors import UserError
from nightreel.orchestration import checkout_flows, overrides, project
from nightreel.orchestration.dvc import dvc_config, pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment
from nightreel.orchestration.live_version import channel_of, served
from nightreel.orchestration.lock import exclusive, fence
from nightreel.orchestration.nights.recorder import NightRecorder, recorded
from nightreel.orchestration.prefect import run_server
from nightreel.orchestration.project import Project
from nightreel.orchestration.services import orphaned_runs, process_ledger
from nightreel.orchestration.summary import RunSummary, summarise
from nightreel.orchestration.worktree import repair_cache, worktree
from nightreel.stage import prepare_state
from nightreel.store.fence import run_lock


@dataclass(frozen=True)
class RunOptions:
    """The command's options. k: number of recommendations shown for the sample user."""

    data: str | None
    settings: Sequence[str]
    force: frozenset[str]
    k: int
    as_json: bool


def run(options: RunOptions) -> None:
    """Run every stage and print the summary.

    Raises:
        UserError: A stage failed; the message is the stage's.
    """
    home = project.find()
    data = {} if options.data is None else {"snapshot.source": options.data}
    wanted = overrides.absolute({**overrides.parse(options.settings), **data})
    overrides.changed(home.root / "params.yaml", wanted)
    _known(options.force, pipeline.read(home.root))
    console = Console(stderr=options.as_json)
    prepare_state(home.state)
    with (
        exclusive(run_lock(home.state), "a run") as lock,
        run_server.api(home) as ready,
        _place(home, wanted) as here,
    ):
        stages, began = pipeline.read(here.root), time.time()
        screen = TerminalView(console, max(len(stage.name) for stage in stages))
        console.print(f"[bold]nightreel[/] {len(stages)} stages in {here.root}", highlight=False)
        with recorded(home, here, "terminal") as night:
            place = StageEnvironment(here.root, here.environment(fence(run_lock(home.state)) | night.environment), lock)
            try:
                outcomes = _flow(home.root, stages, place, options, screen, lambda: _begin(ready, home, console), night)
            except KeyboardInterrupt:
                console.print("stopped: finished stages are kept; the next run continues from there", style="yellow")
                raise
            except UserError:
                console.print(served(here, channel_of(here), began), style="yellow", highlight=False)
                raise
            night.succeeded(outcomes)
        summary = summarise(here, outcomes, options.k, began)
    if options.as_json:
        sys.stdout.write(json.dumps(summary.as_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        screen.summary(summary, next_steps(summary, copied=here.root != home.root))


def next_steps(summary: RunSummary, *, copied: bool) -> dict[str, str]:
    """Useful next commands, with the sample user filled in → what each one shows. copied: whether the run took place in
    a copy of the checkout, whose metrics DVC does not compare here."""
    user = summary.sample.user if summary.sample and not summary.sample.pseudonym else "USER"
    return {
        f"nightreel recommend {user}": "recommendations for a user, from the published version",
        "nightreel report": "path of the run's report: verdict, slices, sample users, cost",
        "nightreel versions": "published versions, and which one is live",
        "nightreel up": "schedule, form, run pages and MLflow in a browser",
    } | ({} if copied else {"dvc metrics diff": "metrics against the last commit (curves: dvc plots show)"})


def _flow(
    root: Path,
    stages: tuple[pipeline.Stage, ...],
    place: StageEnvironment,
    options: RunOptions,
    screen: TerminalView,
    begin: Callable[[], Path],
    night: NightRecorder,
) -> list[Outcome]:
    """Run the stages as a Prefect flow in this process; the process ledger lists it until it has ended."""
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request

    def work(run: str) -> list[Outcome]:
        process_ledger.claim(state, run)
        night.belongs_to(run)
        outcomes = NightlyRun(stages, place, Request(options.force), screen).run()
        process_ledger.forget(state, run)
        return outcomes

    state, flows = begin(), checkout_flows.load(root, "in_process")
    return cast("list[Outcome]", flows.run("nightly", work))


def _begin(ready: Callable[[], None], home: Project, console: Console) -> Path:
    """Wait for the server and close the runs that a killed process left open; returns the state directory."""
    ready()
    for line in orphaned_runs.end(home.state):
        console.print(line, style="dim", highlight=False)
    return home.state


@contextlib.contextmanager
def _place(home: Project, wanted: overrides.Changes) -> Iterator[Project]:
    """The checkout itself, or a worktree with the changes, or because the checkout is read-only."""
    if not wanted and os.access(home.root, os.W_OK):
        dvc_config.settle(home)
        repair_cache(home)
        yield home
    else:
        with worktree(home, wanted) as copy:
            yield copy


def _known(names: frozenset[str], stages: tuple[pipeline.Stage, ...]) -> None:
    unknown = sorted(names - {stage.name for stage in stages})
    if unknown:
        there = ", ".join(stage.name for stage in stages)
        raise UserError(f"--stage-force {unknown[0]}: there is no such stage. Choose one of {there}.")
