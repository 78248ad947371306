"""`nightreel lineage` and `nightreel reproduce`: where a version came from, and making it again."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightreel.cli.help_groups import VERSIONS
from nightreel.cli.options import AsJson, At, Channel, LiveOr
from nightreel.cli.output import print_json

if TYPE_CHECKING:
    from nightreel.store.backends.base import Store

Into = Annotated[
    Path | None,
    typer.Option("--into", metavar="FOLDER", help="Keep what is made in this empty folder. Default: a temporary one."),
]


Open = Annotated[bool, typer.Option("--open", help="Open it as a page with a picture in a browser.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (lineage, reproduce):
        app.command(rich_help_panel=VERSIONS)(command)


def lineage(
    version: LiveOr = None, channel: Channel = "live", show: Open = False, at: At = None, as_json: AsJson = False
) -> None:
    """Show where a version came from: source, night, verdict, stages, commit, Prefect run; --json and --open:
    parameters, too."""
    from nightreel.store import channels
    from nightreel.store.open import open_store

    store = open_store(at)
    digest = channels.resolve(store, channel, version)
    found = _lineage(store, digest)
    if show:
        _open(found)
    if as_json:
        return print_json(found)
    return _print(found)


def reproduce(
    version: LiveOr = None, channel: Channel = "live", into: Into = None, at: At = None, as_json: AsJson = False
) -> None:
    """Make a version again from its night's code, parameters and data, and compare the digests; exit code 1 if they
    differ."""
    from nightreel.orchestration import project
    from nightreel.orchestration.nights.reproduction import reproduced
    from nightreel.store import channels
    from nightreel.store.open import open_store

    home, store = project.find(), open_store(at)
    digest = channels.resolve(store, channel, version)
    # Whoever ends it, the copy with the night's data goes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="nightreel-reproduce-") as folder:
        target = into or Path(folder) / digest[:12]
        found = reproduced(home, store, digest, target.resolve(), lambda line: typer.echo(line, err=True))
    if as_json:
        print_json(found.as_json())
    elif found.same:
        typer.echo(f"{digest[:12]} was made again, byte for byte.")
    else:
        where = f"The first stage that differs is {found.differs}, in {found.out}." if found.differs else ""
        typer.echo(f"{digest[:12]} was not made again: the result is {found.made[:12]}. {where}")
    if not found.same:
        sys.exit(1)


def _lineage(store: Store, digest: str) -> dict[str, Any]:
    """The record in the store, with what this machine's history of nights adds."""
    from nightreel.monitoring import history
    from nightreel.stage import state_directory
    from nightreel.store import channels

    night = next(iter(history.nights_of(state_directory(), digest)), None)
    return {
        "version": digest,
        "store": store.uri,
        "channels": [name for name, pointer in channels.channels(store).items() if pointer.digest == digest],
        **channels.lineage(store, digest),
        "night": night and night.model_dump(mode="json"),
    }


def _rows(found: dict[str, Any]) -> dict[str, str]:
    """The facts in words."""
    night = found["night"] or {}
    rows = [
        ("Version", f"{found['version']}"),
        ("Served by", ", ".join(f"channel {name}" for name in found["channels"]) or "no channel"),
        ("Published", f"{found.get('published_at') or 'not known'} on {found.get('host') or 'an unknown machine'}"),
        ("Verdict", f"{found.get('label') or ''}: {' '.join(str(night.get('reason') or '').split())}".rstrip(": ")),
        ("After", (found.get("predecessor") or "no earlier version")[:64]),
        ("Source", _source(found, night)),
        ("Recipe", found.get("recipe") or "not known"),
        ("Code", found.get("commit") or "no commit"),
        ("Night", _night(night)),
        ("MLflow", f"run {found['recipe'][:12]}" if found.get("recipe") else "not known"),
    ]
    return dict(rows)


def _print(found: dict[str, Any]) -> None:
    night = found["night"] or {}
    for name, value in _rows(found).items():
        typer.echo(f"{name:<10} {value}")
    for stage in night.get("stages", []):
        took = "" if not stage["seconds"] else f"{stage['seconds']:.1f} s"
        typer.echo(f"{'':<10} {stage['stage']:<10} {stage['how']:<10} {took}".rstrip())


def _open(found: dict[str, Any]) -> None:
    """Write the page to the state directory, and open it."""
    from nightreel.report import document
    from nightreel.report.nights import lineage_page
    from nightreel.stage import state_directory

    night, rows = found["night"] or {}, _rows(found)
    ended = {each["stage"]: each["how"] for each in night.get("stages", [])}
    steps = [
        ("source", night.get("source") or "not known"),
        ("tables", ", ".join(f"{count:,} {name}" for name, count in night.get("rows", {}).items()) or "not known"),
        ("recipe", (found.get("recipe") or "not known")[:12]),
        ("stages", f"{sum(how == 'ran' for how in ended.values())} of {len(ended)} ran" if ended else "not known"),
        ("Prefect run", night.get("flow_run") or "none"),
        ("MLflow run", (found.get("recipe") or "not known")[:12]),
        ("verdict", ", ".join(filter(None, [night.get("outcome"), found.get("label")])) or "not known"),
        ("version", found["version"][:12]),
    ]
    path = state_directory() / "lineage" / f"{found['version'][:12]}.html"
    facts = lineage_page.LineageFacts(
        found["version"],
        [lineage_page.LineageStep(*step) for step in steps],
        rows,
        night.get("stages", []),
        found.get("params") or {},
    )
    document.write(lineage_page.page(facts), path)
    typer.echo(f"page: {path}", err=True)
    typer.launch(path.as_uri())


def _source(found: dict[str, Any], night: dict[str, Any]) -> str:
    from nightreel.monitoring.night import minute

    until = found.get("data_until")
    rows = ", ".join(f"{count:,} {name}" for name, count in night.get("rows", {}).items())
    end = f"data until {minute(until)} UTC" if until and until > 1e8 else ""
    return "; ".join(filter(None, [night.get("source") or "", rows, end])) or "not known"


def _night(night: dict[str, Any]) -> str:
    if not night:
        return "not in this machine's history"
    known = [("started by", night["trigger"]), ("commit", night["commit"]), ("Prefect run", night["flow_run"])]
    return "; ".join([night["id"], *(f"{name} {value}" for name, value in known if value)])
