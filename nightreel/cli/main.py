"""The `nightreel` command line. Heavy modules are imported inside the commands, so that reading commands start fast."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from nightreel import loopback
from nightreel.cli.help_groups import GROUPS, OPERATE, RUN
from nightreel.cli.output import print_json
from nightreel.errors import UserError, missing_extra, naming_a_full_disk, not_permitted
from nightreel.orchestration import environment_paths
from nightreel.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, evaluate and publish a recommender every night, and query the published versions.",
)
RENAMED = {"--at": "--store"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nightreel {__version__}")
        raise typer.Exit


@app.callback()
def options(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the Python traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""
    if traceback:
        os.environ["NIGHTREEL_TRACEBACK"] = "1"


@app.command(rich_help_panel=RUN)
def run(
    data: Annotated[
        str | None, typer.Option(help="Your own data: a folder or s3:// prefix with items.* and events.*.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a setting for this run.")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option("--stage-force", metavar="STAGE", help="Rerun a stage even if nothing changed.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Recommendations to show for the sample user.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Run the nightly pipeline now, in this terminal. With --data or --set it runs in a copy of the checkout."""
    from nightreel.cli.run import RunOptions
    from nightreel.cli.run import run as go

    go(RunOptions(data, changes or (), frozenset(force or ()), k, as_json))


@app.command(rich_help_panel=RUN)
def why(as_json: AsJson = False) -> None:
    """Show which stages would run, and which changed dependency causes it."""
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


@app.command(rich_help_panel=OPERATE)
def report(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="A published version. Default: the latest run.")
    ] = None,
    at: Annotated[str | None, typer.Option("--store", metavar="URI", help="Store. [NIGHTREEL_STORE]")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the path of a run's report, an HTML page: verdict, intervals, slices, sample users, data and cost."""
    from nightreel.orchestration.find_report import find

    path = find(version, at)
    if show:
        typer.launch(path.as_uri())
    if as_json:
        return print_json({"report": str(path)})
    return typer.echo(path)


@app.command(rich_help_panel=OPERATE)
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Prefect server and its UI.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the MLflow UI.")] = 5000,
    object_store: Annotated[
        bool,
        typer.Option(
            "--object-store", help="Publish to an S3 server that is started, too, from now on; not to a folder."
        ),
    ] = False,
    store_port: Annotated[
        int, typer.Option(min=1, max=65528, help="Port of the object store, which also uses the seven ports after it.")
    ] = 8333,
    as_json: AsJson = False,
) -> None:
    """Start the schedule, the form, run pages and MLflow on this machine; Ctrl-C stops them all."""
    from nightreel.cli.up import up as go
    from nightreel.orchestration.services.start import Ports

    go(Ports(port, mlflow_port, store_port), object_store, as_json)


@app.command(rich_help_panel=OPERATE)
def deploy() -> None:
    """Deploy prefect.yaml to the Prefect server at PREFECT_API_URL, or to that of a running `nightreel up`."""
    from nightreel.cli.deploy import deploy as go

    go()


@app.command(rich_help_panel=OPERATE)
def env(as_json: AsJson = False) -> None:
    """Print the variables with which `prefect`, `dvc` and `aws` use this state directory: eval "$(nightreel env)"."""
    from nightreel.cli.environment import lines, variables

    found = variables()
    if as_json:
        return print_json(found)
    return typer.echo("\n".join(lines(found)))


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
    """Entry point: a UserError becomes its message and exit code 1; --traceback shows where it was raised."""
    loopback.bypass()
    environment_paths.settle()
    _register()
    sys.argv[1:] = with_new_options(sys.argv[1:])
    try:
        try:
            with naming_a_full_disk():
                app()
        except ModuleNotFoundError as error:
            raise missing_extra(error, " ".join(["nightreel", *sys.argv[1:2]])) from error
    except (UserError, PermissionError) as error:
        if os.environ.get("NIGHTREEL_TRACEBACK") == "1":
            raise
        message = str(error) if isinstance(error, UserError) else not_permitted(error)
        typer.secho(f"error: {message}", fg="red", err=True)
        sys.exit(1)


def _register() -> None:
    """Add the commands of the other modules, and list all of them by group."""
    from nightreel.cli import nights, replay, serve
    from nightreel.cli.ask import interests, items, recommend, rerank
    from nightreel.cli.versions import card, collect_and_share, lineage, releases, renew, versions, withdraw

    queries = (recommend, versions, releases, items, card, interests, rerank)
    for module in (replay, *queries, lineage, collect_and_share, withdraw, renew, serve, nights):
        module.register(app)
    app.registered_commands.sort(key=lambda command: GROUPS.index(str(command.rich_help_panel)))


if __name__ == "__main__":
    main()
