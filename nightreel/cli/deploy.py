"""`nightreel deploy`: prefect.yaml into a Prefect server of one's own, or anew into that of `nightreel up`."""

from __future__ import annotations

import os

import typer

from nightreel.errors import UserError
from nightreel.orchestration import project
from nightreel.orchestration.prefect import run_server


def deploy() -> None:
    """Make the work pool, deploy all of prefect.yaml, and let the form refuse unknown parameters.

    Raises:
        UserError: No server is named or does not answer, or prefect.yaml can't be deployed.
    """
    home = project.find()
    api = os.environ.get("PREFECT_API_URL") or run_server.running(home)
    if not api:
        raise UserError(
            "no Prefect server to deploy to. Name one, for example PREFECT_API_URL=http://127.0.0.1:4200/api, "
            "or start `nightreel up` in another terminal."
        )
    os.environ.update(project.settings_of_children(home.state) | {"PREFECT_API_URL": api})
    if not run_server.answers(api):
        raise UserError(f"{api}: no Prefect server answers there. Start it, or correct PREFECT_API_URL.")
    from nightreel.orchestration.prefect import deployment

    for line in deployment.deploy(home, anew=True):
        typer.echo(line)
    typer.echo(f"{api}: {deployment.NAME} is as prefect.yaml says; its worker: prefect worker start --pool nightreel")
