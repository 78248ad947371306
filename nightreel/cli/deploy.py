"""`nightreel deploy`: deploy prefect.yaml to your own Prefect server, or again to that of `nightreel up`."""

from __future__ import annotations

import os

import typer

from nightreel.errors import UserError
from nightreel.orchestration import project
from nightreel.orchestration.prefect import run_server
from nightreel.stage import prepare_state


def deploy() -> None:
    """Create the work pool, deploy everything in prefect.yaml, and let the form reject unknown parameters.

    Raises:
        UserError: No server is named, it does not respond, or prefect.yaml can't be deployed.
    """
    home = project.find()
    api = os.environ.get("PREFECT_API_URL") or run_server.running(home)
    if not api:
        raise UserError(
            "There is no Prefect server to deploy to. Set one, for example "
            "PREFECT_API_URL=http://127.0.0.1:4200/api, or start `nightreel up` in another terminal."
        )
    prepare_state(home.state)
    os.environ.update(project.settings_of_children(home.state) | run_server.address(home, api))
    if not run_server.answers(api):
        raise UserError(f"{api}: no Prefect server responds there. Start it, or correct PREFECT_API_URL.")
    from nightreel.orchestration.prefect import deployment

    for line in deployment.deploy(home, anew=True):
        typer.echo(line)
    typer.echo(
        f"{api}: deployed {deployment.NAME} and the other flows from prefect.yaml. Start their worker with "
        "`prefect worker start --pool nightreel`."
    )
