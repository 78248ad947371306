"""The FastAPI application: reader, routes, middleware, metrics, explorer page."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nightreel.bundle.format import BundleError
from nightreel.errors import UserError
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.requests.recent_events import RecentEvents, pseudonym_key
from nightreel.service import health, routes
from nightreel.service.canary import Beside
from nightreel.service.connections.access_log import AccessLog
from nightreel.service.connections.middleware import Guard
from nightreel.service.explorer import explorer_routes
from nightreel.service.kept_bytes import KeptBytes
from nightreel.service.metrics import Metrics
from nightreel.service.options import Options, token
from nightreel.service.recording.feedback import Log
from nightreel.service.recording.impression_log import SlateLog
from nightreel.service.response_cache import Remembered
from nightreel.service.worker_pool import Answers, Busy, Late
from nightreel.service.workers import end_with_parent
from nightreel.store.backends.base import StoreError

LOG = logging.getLogger("nightreel.service")
LONGEST_NAME = 100  # characters of a field's name in an error


def build(options: Options | None = None) -> FastAPI:
    """Create the application. options: default: those passed on by `nightreel serve`."""
    chosen, metrics = options or Options.taken(), Metrics.fresh()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        end_with_parent()
        with LiveReader(chosen.store, channel=chosen.channel, every_s=chosen.refresh_s) as live:
            app.state.answers, app.state.beside = Answers(live, chosen, metrics), Beside(chosen)
            app.state.slates = _slates(chosen, metrics)
            forgetting = asyncio.create_task(app.state.log.forget_while_running()) if app.state.log else None
            yield
            if forgetting is not None:
                forgetting.cancel()
            app.state.answers.close()
            app.state.beside.close()
            if app.state.slates:
                app.state.slates.close()

    # FastAPI's documentation pages load scripts from other servers; /openapi.json remains for tools.
    app = FastAPI(
        title="Nightreel",
        version=version("nightreel"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        description="Recommendations, similar items, search and explanations from a published version.",
    )
    app.state.metrics, app.state.kept = metrics, KeptBytes(chosen.cached)
    app.state.log = Log(Path(chosen.feedback), _recent(chosen)) if chosen.feedback else None
    for each in (routes, health, explorer_routes):
        app.include_router(each.router)
    app.add_middleware(Remembered, state=app.state, metrics=metrics, kept=app.state.kept)
    log = AccessLog(chosen.access_log) if chosen.access_log else None
    app.add_middleware(Guard, metrics=metrics, token=token(), body=chosen.body, body_s=chosen.header_s, log=log)
    # All of them are coroutines: the others would wait for a thread, of which a busy service has none left.
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(OSError, _no_room)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(Late, _late)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    return app


def _recent(chosen: Options) -> RecentEvents | None:
    """The database of recent events; users stand in it under the pseudonyms of the nights, if there is their key."""
    if chosen.recent is None:
        return None
    path = Path(chosen.recent)
    key = pseudonym_key(path.parent)
    return RecentEvents(path, key, retention_s=chosen.retention_days * 86_400)


def _slates(chosen: Options, metrics: Metrics) -> SlateLog | None:
    """The log of served lists; its workers share the key of the recent events."""
    if chosen.slates is None:
        return None
    key = pseudonym_key(Path(chosen.recent).parent) if chosen.recent is not None else None
    return SlateLog(Path(chosen.slates), chosen.channel, metrics, key)


async def _no_room(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JSONResponse({"error": "The disk is full: nothing of this request was stored. Try again later."}, 507)
    reason = error.strerror or str(error)
    return JSONResponse(
        {"error": f"Storing failed ({reason}): nothing of this request was stored. Try again later."}, 503
    )


async def _user_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, BundleError | StoreError):  # names files of this machine, and no other request would mend it
        LOG.error("%s: %s", request.url.path, error)
        return JSONResponse({"error": "The version can't be read. The service's log has the reason."}, 500)
    missing = "no item has this id" in str(error)
    return JSONResponse({"error": str(error)}, 404 if missing else 400)


async def _busy(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "Too many requests are waiting. Try again in a second."}, 503, {"Retry-After": "1"})


async def _late(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "The request timed out. Try again, or request fewer items."}, 504)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part)[:LONGEST_NAME] for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ")
    return JSONResponse({"error": f"{where}: {what}. See /openapi.json for the accepted fields."}, 422)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    texts = {
        404: "There is no such route. /openapi.json lists them.",
        405: f"This route does not answer {request.method}. /openapi.json tells what it answers.",
    }
    return JSONResponse({"error": texts.get(error.status_code, str(error.detail))}, error.status_code, error.headers)
