"""`nightreel run`: one nightly run, now, in this terminal. Plain, it runs in the checkout; changed, in a worktree."""

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
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.stage_run import Outcome, StageEnvironment
from nightreel.orchestration.live_version import channel_of, served
from nightreel.orchestration.lock import exclusive, fence
from nightreel.orchestration.prefect import run_server
from nightreel.orchestration.project import Project
from nightreel.orchestration.services import orphaned_runs, process_ledger
from nightreel.orchestration.summary import RunSummary, summarise
from nightreel.orchestration.worktree import unversioned_dvc, worktree


@dataclass(frozen=True)
class RunOptions:
    """The command's options. k: recommendations shown of a sample user."""

    data: str | None
    settings: Sequence[str]
    force: frozenset[str]
    k: int
    as_json: bool


def run(wishes: RunOptions) -> None:
    """Run every stage, then print what it came to; raises UserError with the failed stage's message."""
    home = project.find()
    data = {} if wishes.data is None else {"snapshot.source": wishes.data}
    wanted = overrides.absolute({**overrides.parse(wishes.settings), **data})
    overrides.changed(home.root / "params.yaml", wanted)
    _known(wishes.force, pipeline.read(home.root))
    console = Console(stderr=wishes.as_json)
    with (
        exclusive(home.state / "locks" / "run.lock", "a run") as lock,
        run_server.api(home) as ready,
        _place(home, wanted) as here,
    ):
        stages, began = pipeline.read(here.root), time.time()
        screen = TerminalView(console, max(len(stage.name) for stage in stages))
        place = StageEnvironment(here.root, here.environment(fence(home.state / "locks" / "run.lock")), lock)
        console.print(f"[bold]nightreel[/] {len(stages)} stages in {here.root}", highlight=False)
        try:
            outcomes = _flow(home.root, stages, place, wishes, screen, lambda: _begin(ready, home, console))
        except KeyboardInterrupt:
            console.print("stopped: finished stages are kept, and the next run goes on from there", style="yellow")
            raise
        except UserError:
            console.print(served(here, channel_of(here), began), style="yellow", highlight=False)
            raise
        summary = summarise(here, outcomes, wishes.k, began)
    if wishes.as_json:
        sys.stdout.write(json.dumps(summary.as_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        screen.summary(summary, next_steps(summary, here))


def next_steps(summary: RunSummary, here: Project) -> dict[str, str]:
    """Commands that make sense now, with the sample's user in them, and what each one shows."""
    user = summary.sample.user if summary.sample and not summary.sample.pseudonym else "USER"
    return {
        f"nightreel recommend {user}": "a user's list, from the published version",
        "nightreel report": "where the run's report is: verdict, slices, sample users, cost",
        "nightreel versions": "what was published, and what is live",
        "nightreel up": "schedule, form, run pages, MLflow",
        "dvc metrics diff": "this run against the last commit; dvc plots show: its curves",
        f"{Path(os.path.relpath(here.root)) / 'data' / 'evaluate' / 'verdict.json'}": "every interval and rule",
    }


def _flow(
    root: Path,
    stages: tuple[pipeline.Stage, ...],
    place: StageEnvironment,
    wishes: RunOptions,
    screen: TerminalView,
    begin: Callable[[], Path],
) -> list[Outcome]:
    """The stages as a Prefect flow in this process, which the ledger knows until it has ended."""
    from nightreel.orchestration.prefect.stage_tasks import NightlyRun, Request

    def work(run: str) -> list[Outcome]:
        process_ledger.claim(state, run)
        outcomes = NightlyRun(stages, place, Request(wishes.force), screen).run()
        process_ledger.forget(state, run)
        return outcomes

    state, flows = begin(), checkout_flows.load(root, "in_process")
    return cast("list[Outcome]", flows.run("nightly", work))


def _begin(ready: Callable[[], None], home: Project, console: Console) -> Path:
    """Wait for the server, and end what a killed run has left there; returns the state directory."""
    ready()
    for line in orphaned_runs.end(home.state):
        console.print(line, style="dim", highlight=False)
    return home.state


@contextlib.contextmanager
def _place(home: Project, wanted: overrides.Changes) -> Iterator[Project]:
    """The checkout itself, or a worktree with the changes."""
    if not wanted:
        unversioned_dvc(home.root)
        yield home
    else:
        with worktree(home, wanted) as copy:
            yield copy


def _known(names: frozenset[str], stages: tuple[pipeline.Stage, ...]) -> None:
    unknown = sorted(names - {stage.name for stage in stages})
    if unknown:
        there = ", ".join(stage.name for stage in stages)
        raise UserError(f"--stage-force {unknown[0]}: no such stage; there are {there}. Correct the name.")
