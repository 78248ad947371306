"""Refuses a Prefect server on which the `nightreel up` of another state directory works.

Both would deploy flows of the same names into the same work pool: nights of one would run in the checkout of the other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nightreel import database_server
from nightreel.errors import UserError
from nightreel.orchestration.prefect.work_pool import POOL
from nightreel.orchestration.services.process_ledger import WORKERS

if TYPE_CHECKING:
    from prefect.client.schemas.objects import Worker

MISSED = 3
"""Heartbeats that a worker may miss before it counts as gone, as on Prefect's own page."""
BEAT_S = 30


def require_none(api: str, own: str) -> None:
    """Check that no other `nightreel up` takes runs from this server.

    Args:
        api: The server at PREFECT_API_URL, for the message.
        own: The name of this state directory's worker.

    Raises:
        UserError: Another one does, or the server denies access.
    """
    other = next((worker for worker in _workers(api) if worker.name != own and _works(worker)), None)
    if other is None:
        return
    raise UserError(
        f"{database_server.shown(api)}: another `nightreel up` (worker {other.name!r}) uses this Prefect server or its "
        "database, and your nights would run in its checkout. Give each checkout a database or server of its own. If "
        f"you have just stopped the other one, try again in {MISSED * BEAT_S} seconds."
    )


def _workers(api: str) -> list[Worker]:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    with get_client(sync_client=True) as client:
        try:
            return client.read_workers_for_work_pool(POOL)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == 404:  # the first deployment makes the pool
                return []
            if error.response.status_code not in (401, 403):
                raise
            raise UserError(
                f"{database_server.shown(api)}: Prefect denies access. Correct PREFECT_API_AUTH_STRING=user:password "
                "or PREFECT_API_KEY."
            ) from None


def _works(worker: Worker) -> bool:
    """Whether it is a worker of `nightreel up` that has shown itself recently."""
    if not worker.name.startswith(WORKERS) or worker.last_heartbeat_time is None:
        return False
    patience = timedelta(seconds=MISSED * (worker.heartbeat_interval_seconds or BEAT_S))
    return worker.last_heartbeat_time > datetime.now(UTC) - patience
