"""Monitoring routes: health, readiness, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from nightreel.reader.live_reader import Status
from nightreel.service import schemas
from nightreel.service.metrics import Metrics
from nightreel.service.parameters import refuse_unknown
from nightreel.service.worker_pool import Answers

router = APIRouter(dependencies=[Depends(refuse_unknown)])


@router.get("/health", response_model=schemas.Health)
async def health() -> dict[str, str]:
    """Whether the process is up."""
    return {"status": "ok"}


@router.get("/ready", response_model=schemas.Ready)
async def ready(request: Request) -> dict[str, Any]:
    """The served version, its age, and whether the last refresh failed. Why stands in the log alone: it names files of
    this machine, and whoever can reach the service may ask."""
    answers: Answers = request.app.state.answers
    status, reader = answers.live.status, answers.live.reader
    return {
        "version": status.digest,
        "published_at": status.published_at,
        "age_s": status.age_s(),
        "items": len(reader.items),
        "users": len(reader.user_ids),
        "withdrawals": status.withdrawals,
        "refused": status.refused,
        "fault": _shown(status),
    }


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Metrics in Prometheus text format."""
    counted: Metrics = request.app.state.metrics
    content = counted.text(request.app.state.answers.live.status)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _shown(status: Status) -> str | None:
    if status.fault is None:
        return None
    what = "The newest version was refused" if status.refused else "The last check for a new version failed"
    return f"{what}; the version before stays in service. The service's log has the reason."
