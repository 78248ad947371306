"""`nightreel nights`, `status` and `watch`: what happened, what is wrong, and telling somebody of it."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.help_groups import OPERATE
from nightreel.cli.options import AsJson
from nightreel.cli.output import print_json

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
LONGEST = 300  # characters of a reason; --json has all
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


def status(as_json: AsJson = False) -> None:
    """Show what is live and how old it is, the last nights, the next one, and what is wrong; exit code 1 if it is
    urgent."""
    from nightreel.orchestration import project

    found = _look(project.find())
    if as_json:
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
    is old, and when all is right again."""
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
        found = _look(home)
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


def _look(home: Project) -> PipelineStatus:
    """The status, with the plan of the running `nightreel up` or of PREFECT_API_URL, if it answers."""
    from nightreel.cli.environment import variables
    from nightreel.monitoring import expected, history
    from nightreel.monitoring.status import status as take
    from nightreel.orchestration.live_version import channel_of
    from nightreel.orchestration.prefect import run_server
    from nightreel.settings import load

    os.environ.update(variables())
    known = os.environ.get("PREFECT_API_URL")
    if known and run_server.answers(known):
        from nightreel.orchestration.prefect.planned_night import planned

        plan = planned()
        if plan is not None and os.access(home.state, os.W_OK):
            past = history.nights(home.state, 50)
            expected.remember(home.state, plan.coming, paused=plan.paused, nights=past, now=time.time())
    settings = load(home.root / "params.yaml")
    return take(home.state, os.environ.get("NIGHTREEL_STORE"), channel_of(home), settings.watch)


def _print_status(found: PipelineStatus) -> None:
    from nightreel.monitoring.night import minute

    for alert in found.alerts:
        typer.secho(f"{alert.text[:1].upper()}{alert.text[1:]}", fg="red" if alert.urgent else "yellow", bold=True)
        typer.echo(f"  {alert.remedy}\n")
    live = found.live
    if live is None:
        typer.echo(f"Live        nothing on channel {found.channel}")
    else:
        age = "" if live.published is None else f", {_age(found.at - live.published)} old"
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
    typer.secho(title, bold=True)
    for night in found:
        took = "" if night.ended is None else _age(night.ended - night.began)
        quality = f"{night.metric.split(' ')[0]} {night.quality[0]:.4f}" if night.quality else ""
        what = SIGNS.get(night.outcome, f"✗ {night.outcome}")
        version = (night.version or "")[:12]
        typer.echo(f"{night.day}  {what:<12} {version:<12}  {quality:<14}  {took:<8} {night.trigger}".rstrip())
        where = f"at {night.failed_stage}: " if night.failed_stage else ""
        why = night.why
        if why:
            typer.secho(
                f"                  {where}{why if len(why) <= LONGEST else f'{why[: LONGEST - 1]}…'}", dim=True
            )


def _age(seconds: float) -> str:
    """A length of time in words.

    Example:
        >>> _age(75), _age(5400), _age(200_000)
        ('1 min', '1.5 h', '2.3 days')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
