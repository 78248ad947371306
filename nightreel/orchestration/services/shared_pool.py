"""Refuses a Prefect server whose work pool `nightreel up` can't use: another one works there, or other workers do.

Two of them would deploy flows of the same names into the same pool: nights of one would run in the checkout of the
other.
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


def require_usable(api: str, own: str) -> None:
    """Check that the work pool is one of processes, and that no other `nightreel up` takes runs from it.

    Args:
        api: The server at PREFECT_API_URL, for the message.
        own: The name of this state directory's worker.

    Raises:
        UserError: Another one does, the pool has another type, or the server denies access.
    """
    found = _pool(api)
    if found is None:
        return
    kind, workers = found
    place = database_server.shown(api)
    if kind != "process":
        raise UserError(
            f"{place}: its work pool {POOL} is of type {kind}, and `nightreel up` starts processes. Start that pool's "
            f"worker instead: prefect worker start --pool {POOL}. Or give `up` a server of its own."
        )
    other = next((worker for worker in workers if worker.name != own and _works(worker)), None)
    if other is not None:
        raise UserError(
            f"{place}: another `nightreel up` (worker {other.name!r}) uses this Prefect server or its database, and "
            "your nights would run in its checkout. Give each checkout a database or server of its own. If you have "
            f"just stopped the other one, try again in {MISSED * BEAT_S} seconds."
        )


def _pool(api: str) -> tuple[str, list[Worker]] | None:
    """The type of the work pool, and its workers; None before the first deployment, which makes the pool."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    with get_client(sync_client=True) as client:
        try:
            return client.read_work_pool(POOL).type, client.read_workers_for_work_pool(POOL)
        except ObjectNotFound:
            return None
        except PrefectHTTPStatusError as error:
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
