"""`nightreel nights`, `status` and `watch`: what happened, what is wrong, and telling somebody of it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.help_groups import OPERATE
from nightreel.cli.options import AsJson
from nightreel.cli.output import print_json
from nightreel.durations import in_words

if TYPE_CHECKING:
    from nightreel.monitoring.night import Night
    from nightreel.monitoring.status import PipelineStatus
    from nightreel.orchestration.project import Project

SIGNS = {
    "promoted": "✓ promoted",
    "refreshed": "✓ refreshed",
    "unchanged": "· unchanged",
    "dry run": "· dry run",
    "running": "… running",
}
PAGE, METRICS = "status.html", "status.prom"
TERMINAL_NIGHTS, PAGE_NIGHTS = 7, 60
LONGEST = 300  # characters of a reason; --json has all
BELOW = " " * 18  # what belongs to a night stands below its outcome
Most = Annotated[int, typer.Option("--most", min=1, max=1000, metavar="N", help="Number of nights to list.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (nights, status, watch):
        app.command(rich_help_panel=OPERATE)(command)


def nights(most: Most = 14, as_json: AsJson = False) -> None:
    """List the nights, the latest first: what came of each, why, its version, quality and time."""
    from nightreel.monitoring import history
    from nightreel.orchestration import project

    found = history.nights(project.find().state, most)
    if as_json:
        return print_json([night.model_dump(mode="json") for night in found])
    if not found:
        return typer.echo("no night has run yet. Start one: nightreel run")
    return _print_nights(found, "Nights, in UTC")


def status(
    show: Annotated[bool, typer.Option("--open", help="Open it as a page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is live and how old it is, the last nights, the next one, and what is wrong; exit code 1 if it is
    urgent."""
    from nightreel.orchestration import project

    home = project.find()
    found = _look(home, PAGE_NIGHTS if show else TERMINAL_NIGHTS)
    if show:
        _keep(found, home.state)
        typer.launch((home.state / PAGE).as_uri())
    elif as_json:
        print_json(found.as_json())
    else:
        _print_status(found)
    if not found.well:
        sys.exit(1)


def watch(
    every: Annotated[float, typer.Option("--every", min=1, metavar="SECONDS", help="Pause between two looks.")] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, for cron; exit code 1 for a problem.")] = False,
) -> None:
    """Send a notification (NIGHTREEL_NOTIFY) when a night fails, is held back, missed or stuck, when the live version
    is old, and when all is right again. Keeps status.html and status.prom (metrics) in the state directory."""
    from nightreel.monitoring import notifications
    from nightreel.orchestration import project

    home = project.find()
    if not notifications.addresses(home.state):
        typer.secho(
            f"no address to notify: set {notifications.VARIABLE} (Apprise's form, such as json://host/path) or write "
            f"addresses to {home.state / notifications.FILE}. Problems are printed only.",
            fg="yellow",
            err=True,
        )
    before: set[str] = set()
    while True:
        found = _look(home, PAGE_NIGHTS)
        _keep(found, home.state)
        urgent = [alert for alert in found.alerts if alert.urgent]
        for line in notifications.tell(home.state, urgent, tuple(notifications.TITLES)):
            typer.echo(line, err=True)
        for alert in urgent:
            if alert.text not in before:
                typer.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {alert.text} {alert.remedy}")
        before = {alert.text for alert in urgent}
        if once:
            sys.exit(0 if found.well else 1)
        time.sleep(every)


def _keep(found: PipelineStatus, state: Path) -> None:
    """Write the page and the metrics, which no problem depends on: a full disk is told by the notification."""
    from nightreel.monitoring import gauges
    from nightreel.report import document
    from nightreel.report.nights import status_page

    try:
        document.write(status_page.page(found), state / PAGE)
        gauges.write(found, state / METRICS)
    except OSError as error:
        typer.secho(f"{state}: the page of the status can't be written ({error.strerror}).", fg="yellow", err=True)


def _look(home: Project, most: int) -> PipelineStatus:
    """The status, with the plan of the running `nightreel up` or of PREFECT_API_URL, if it answers."""
    from nightreel.cli.environment import variables
    from nightreel.monitoring import alerts, expected, history
    from nightreel.monitoring.status import status as take
    from nightreel.orchestration.live_version import channel_of
    from nightreel.orchestration.prefect import run_server
    from nightreel.settings.params_file import load
    from nightreel.settings.section import SettingsError

    os.environ.update(variables())
    known = os.environ.get("PREFECT_API_URL")
    if known and run_server.answers(known):
        from nightreel.orchestration.prefect.planned_night import planned

        plan = planned()
        if plan is not None and os.access(home.state, os.W_OK):
            past = history.nights(home.state, 50)
            expected.remember(home.state, plan.coming, paused=plan.paused, nights=past, now=time.time())
    # A fault in params.yaml is told, like any other that tonight's run would end with; it does not end the watch.
    try:
        limits, faults = load(home.root / "params.yaml").watch, []
    except SettingsError as error:
        limits, faults = alerts.USUAL, [alerts.of_settings(str(error))]
    found = take(home.state, os.environ.get("NIGHTREEL_STORE"), channel_of(home), limits, most=most)
    return replace(found, alerts=(*faults, *found.alerts))


def _print_status(found: PipelineStatus) -> None:
    from nightreel.monitoring.night import minute

    for alert in found.alerts:
        typer.secho(f"{alert.text[:1].upper()}{alert.text[1:]}", fg="red" if alert.urgent else "yellow", bold=True)
        typer.echo(f"  {alert.remedy}\n")
    live = found.live
    if live is None:
        typer.echo(f"Live        nothing on channel {found.channel}")
    else:
        age = "" if live.published is None else f", {in_words(found.at - live.published)} old"
        typer.echo(
            f"Live        {live.version[:12]} ({live.label or 'published by hand'}) on channel {found.channel}{age}"
        )
        shown = ", ".join(f"{count:,} {name}" for name, count in live.withdrawn.items() if count)
        typer.echo(f"Withdrawn   {shown or 'nothing'}")
    plan = found.plan
    if plan is None:
        typer.echo("Next night  not known: Prefect's server was never asked (nightreel up)")
    elif plan.paused:
        typer.echo("Next night  none: the schedule is paused")
    elif plan.next is None:
        typer.echo("Next night  none is planned")
    else:
        late = ", and is late" if plan.next < found.at else ""
        typer.echo(f"Next night  {minute(plan.next)} UTC{late}")
    if found.nights:
        typer.echo("")
        _print_nights(list(found.nights), "Last nights, in UTC")


def _print_nights(found: list[Night], title: str) -> None:
    """A line for each night, and its reason below, since a column for reasons would leave no room for the others."""
    width = max(shutil.get_terminal_size().columns, 60)
    typer.secho(title, bold=True)
    typer.secho(f"{'began':<16}  {'result':<12} {'version':<12}  {'quality':<14}  {'took':<8} started by", dim=True)
    for night in found:
        took = in_words((night.ended or time.time()) - night.began)
        quality = f"{night.metric.split(' ')[0]} {night.quality[0]:.4f}" if night.quality else ""
        what = SIGNS.get(night.outcome, f"✗ {night.outcome}")
        version = (night.version or "")[:12]
        typer.echo(f"{night.day}  {what:<12} {version:<12}  {quality:<14}  {took:<8} {night.trigger}".rstrip())
        where = f"at {night.failed_stage}: " if night.failed_stage else ""
        why = night.why
        if why:
            told = f"{where}{why if len(why) <= LONGEST else f'{why[: LONGEST - 1]}…'}"
            typer.secho(textwrap.fill(told, width, initial_indent=BELOW, subsequent_indent=BELOW), dim=True)
