"""Monitoring routes: health, readiness, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

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
    """The served version, its age, and the error of the last refresh, if any."""
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
        "fault": status.fault,
    }


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Metrics in Prometheus text format."""
    counted: Metrics = request.app.state.metrics
    content = counted.text(request.app.state.answers.live.status)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")
