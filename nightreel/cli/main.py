"""The `nightreel` command. Nothing heavy is imported before a command needs it: reading commands start fast."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from nightreel import loopback
from nightreel.errors import UserError
from nightreel.orchestration import environment_paths

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A nightly run from logs to a published recommender, and the commands that read what it published.",
)
RENAMED = {"--at": "--store"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def options(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")] = False,
) -> None:
    """Options of every command."""
    if traceback:
        os.environ["NIGHTREEL_TRACEBACK"] = "1"


@app.command()
def run(
    data: Annotated[str | None, typer.Option(help="Folder or s3:// prefix with items.* and events.*")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a setting for this run.")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option("--stage-force", metavar="STAGE", help="Run a stage again, changed or not.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Recommendations to show of a sample user.")] = 10,
    as_json: AsJson = False,
) -> None:
    """One nightly run, now, in this terminal. With --data or --set it leaves the checkout as it is."""
    from nightreel.cli.run import RunOptions
    from nightreel.cli.run import run as go

    go(RunOptions(data, changes or (), frozenset(force or ()), k, as_json))


@app.command()
def why(as_json: AsJson = False) -> None:
    """Which stages would run, and because of which dep."""
    from nightreel.orchestration.dvc.stale_stages import why as ask

    answers = ask()
    if as_json:
        return print_json({answer.stage: list(answer.reasons) for answer in answers})
    width = max(len(answer.stage) for answer in answers)
    for answer in answers:
        first, *rest = answer.reasons or ("up to date",)
        typer.echo(f"{answer.stage:<{width}}  {first}")
        for reason in rest:
            typer.echo(f"{'':<{width}}  {reason}")
    return None


@app.command()
def report(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Default: the run that ended last.")
    ] = None,
    at: Annotated[str | None, typer.Option("--store", metavar="URI", help="Store. [NIGHTREEL_STORE]")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Where a run's report is: verdict, intervals, slices, sample users, data and cost, in one page."""
    from nightreel.orchestration.find_report import find

    path = find(version, at)
    if show:
        typer.launch(path.as_uri())
    if as_json:
        return print_json({"report": str(path)})
    return typer.echo(path)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Prefect server and UI.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="MLflow UI.")] = 5000,
    store_port: Annotated[int, typer.Option(help="Object store; the seven ports after it are used too.")] = 8333,
    as_json: AsJson = False,
) -> None:
    """Schedule, form, run pages, MLflow and object store, together, on this machine alone; Ctrl-C stops them all."""
    from nightreel.cli.up import up as go
    from nightreel.orchestration.services.start import Ports

    go(Ports(port, mlflow_port, store_port), as_json)


@app.command()
def deploy() -> None:
    """prefect.yaml into the Prefect server of PREFECT_API_URL or of a running `nightreel up`, as it says, anew."""
    from nightreel.cli.deploy import deploy as go

    go()


def print_json(value: Any) -> None:
    """For people and programs."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def with_new_options(words: list[str]) -> list[str]:
    """The command line with today's names of options; an old one is read for one version, with a warning.

    Example:
        >>> with_new_options(["recommend", "u1", "--store", "s3://films/index"])
        ['recommend', 'u1', '--store', 's3://films/index']
    """
    renamed = list[str]()
    for word in words:
        name, equals, value = word.partition("=")
        if name in RENAMED:
            typer.secho(f"warning: {name} is now called {RENAMED[name]}; write that.", fg="yellow", err=True)
        renamed.append(RENAMED.get(name, name) + equals + value)
    return renamed


def main() -> None:
    """Entry point: a UserError becomes its message and exit code 1; --traceback shows where it arose."""
    loopback.bypass()
    environment_paths.settle()
    _register()
    sys.argv[1:] = with_new_options(sys.argv[1:])
    try:
        app()
    except UserError as error:
        if os.environ.get("NIGHTREEL_TRACEBACK") == "1":
            raise
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)


def _register() -> None:
    """The commands on what is published."""
    from nightreel.cli import replay, serve
    from nightreel.cli.ask import interests, items, recommend, rerank
    from nightreel.cli.versions import card, collect_and_share, releases, renew, versions, withdraw

    asked = (recommend, releases, versions, items, card, interests, rerank)
    for each in (replay, *asked, collect_and_share, withdraw, renew, serve):
        each.register(app)
