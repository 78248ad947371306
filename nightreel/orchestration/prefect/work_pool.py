"""Creates prefect.yaml's work pool, which the first deployment needs."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

POOL = "nightreel"  # prefect.yaml's work pool


def make_pool() -> None:
    """Create the work pool if the server does not have it yet."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))


def make_pool_for_prefect() -> None:
    """Create the pool if this process is `prefect deploy`, which imports the flow before it looks up the pool."""
    program, *words = sys.argv
    if "deploy" in words and "prefect" in Path(program).parts[-2:]:  # the command, or python -m prefect
        make_pool()
