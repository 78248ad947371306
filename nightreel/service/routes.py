"""HTTP routes: each one calls the reader once."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from nightreel.reader.reader import Reader
from nightreel.reader.requests.recent_events import NOTHING, Recent
from nightreel.reader.results import Recommendation
from nightreel.service import schemas
from nightreel.service.json_body import JsonRoute
from nightreel.service.parameters import refuse_unknown
from nightreel.service.recording.feedback import Log
from nightreel.service.response_cache import KEEP, Listed, going_out
from nightreel.service.schemas import MOST_K, ExplainQuery, ListQuery, ListRequest, Problem
from nightreel.service.worker_pool import Answers

router = APIRouter(dependencies=[Depends(refuse_unknown)], route_class=JsonRoute)
PROBLEMS: dict[int | str, dict[str, Any]] = {code: {"model": Problem} for code in (400, 401, 404, 413, 422, 503, 504)}
K = Annotated[int, Query(ge=1, le=MOST_K, description="number of items")]
AudienceAge = Annotated[schemas.Age | None, Query()]
Item = Annotated[str, Query(max_length=500, description="item id or exact title", examples=["257"])]


@router.get("/recommend", response_model=schemas.ListAnswer, responses=PROBLEMS)
async def recommend_simply(request: Request, wanted: Annotated[ListQuery, Query()]) -> Response:
    """Recommend items for a user or a history; popular items if neither is given. Takes what POST takes."""
    return await _listed(request, wanted, keep=False)


@router.post("/recommend", response_model=schemas.ListAnswer, responses=PROBLEMS)
async def recommend(request: Request, wanted: ListRequest) -> Response:
    """Recommend items with filters, pins, diversity, freshness, the current visit's likes and skips, exploration."""
    return await _listed(request, wanted, keep=True)


@router.get("/similar", response_model=schemas.ItemsAnswer, responses=PROBLEMS)
async def similar(request: Request, item: Item, k: K = 10, audience_age: AudienceAge = None) -> Response:
    """Return the items most similar in content."""

    def question(reader: Reader) -> dict[str, Any]:
        found = reader.similar(item, k, audience_age=audience_age)
        return {"version": reader.digest, "items": [_item(reader, n, e.item_id, e.score) for n, e in _ranked(found)]}

    return await _answered(request, None, question)


@router.get("/search", response_model=schemas.ItemsAnswer, responses=PROBLEMS)
async def search(
    request: Request,
    q: Annotated[str, Query(max_length=500, examples=["space opera"])],
    k: K = 10,
    audience_age: AudienceAge = None,
) -> Response:
    """Search items by text; tolerates typing errors in titles."""

    def question(reader: Reader) -> dict[str, Any]:
        found = reader.search(q, k, audience_age=audience_age)
        return {"version": reader.digest, "items": [_item(reader, n, e.item_id, e.score) for n, e in _ranked(found)]}

    return await _answered(request, None, question)


@router.get("/explain", response_model=schemas.ExplanationAnswer, responses=PROBLEMS)
async def explain(request: Request, wanted: Annotated[ExplainQuery, Query()]) -> Response:
    """Explain why an item is, or is not, recommended. Evidence is measured by leaving history items out."""
    log: Log | None = request.app.state.log

    def question(reader: Reader) -> dict[str, Any]:
        found = reader.explain(
            wanted.item,
            wanted.user,
            history=wanted.history,
            at=reader.clock.moment(wanted.moment),
            options=wanted.options(),
            recent=log.of(reader, wanted.user) if log is not None else NOTHING,
        )
        return {"version": reader.digest, **asdict(found)}

    request.scope[KEEP] = Listed(wanted.user, log.revision(wanted.user) if log is not None else 0, False)
    return await _answered(request, None, question)


@router.post("/feedback", response_model=schemas.FeedbackAnswer, responses=PROBLEMS)
def feedback(request: Request, given: schemas.FeedbackRequest) -> Response:
    """Store events for the next run. They count in the user's next list at once."""
    log: Log | None = request.app.state.log
    if log is None:
        return JSONResponse({"error": "This service does not store feedback. Start it with --feedback FOLDER."}, 404)
    answers: Answers = request.app.state.answers
    return JSONResponse(log.keep(given.events, answers.live.reader, request.app.state.slates))


async def _listed(request: Request, wanted: ListRequest, *, keep: bool) -> Response:
    """keep: cache the response here; GET responses are cached by URL."""
    log: Log | None = request.app.state.log
    revision = log.revision(wanted.user) if log is not None else 0
    drawn = bool(wanted.explore) and wanted.seed is None
    seed = secrets.randbits(63) if drawn else 0
    key = ("list", wanted.model_dump_json(), revision) if keep and not drawn else None
    answers: Answers = request.app.state.answers

    def question(reader: Reader) -> dict[str, Any]:
        return list_of(reader, wanted, seed, log.of(reader, wanted.user) if log is not None else NOTHING)

    content = await answers.of(key, question)
    listed = Listed(wanted.user, revision, wanted.shown)
    if not keep and not drawn:
        request.scope[KEEP] = listed
    content = going_out(request.scope, request.app.state.slates, listed, content)
    return Response(content, media_type="application/json")


def list_of(reader: Reader, wanted: ListRequest, seed: int, recent: Recent = NOTHING) -> dict[str, Any]:
    """A version's response to a request for a list. seed: of an exploration at random, if the request gives none;
    recent: what the user did since the version was made."""
    seed = seed if reader.exploration is None else 0  # its draws go by user and day
    labels = wanted.labels()
    listed = reader.recommend(
        wanted.user,
        history=wanted.history,
        k=wanted.k,
        offset=wanted.offset,
        at=reader.clock.moment(wanted.moment),
        exclude_seen=wanted.exclude_seen,
        options=wanted.options(seed),
        reasons=wanted.reasons,
        recent=recent,
        context=labels,
    )
    asked = f"{wanted.model_dump_json(exclude={'context'})}{labels or ''}"
    told = f"{reader.edition} {asked} {seed} {recent.revision}"
    slate = hashlib.sha256(told.encode()).hexdigest()[:16]
    return {
        "version": reader.digest,
        "slate_id": slate,
        "known": bool(reader.knows([wanted.user])[0]) if wanted.user is not None else False,
        "unknown_items": reader.unknown(wanted.history or ()),
        "items": [_recommended(reader, each) for each in listed],
    }


async def _answered(request: Request, key: Any, question: Any) -> Response:
    answers: Answers = request.app.state.answers
    return Response(await answers.of(key, question), media_type="application/json")


def _ranked(found: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(found, 1))


def _item(reader: Reader, rank: int, item_id: str, score: float) -> dict[str, Any]:
    at = reader.items.index_of(item_id)
    assert at is not None  # the reader has just returned it
    shown_score = None if math.isnan(score) else round(score, 6)
    title, genres = reader.items.titles[at] or item_id, list(reader.items.genres[at])
    return {"rank": rank, "item_id": item_id, "title": title, "genres": genres, "score": shown_score}


def _recommended(reader: Reader, each: Recommendation) -> dict[str, Any]:
    chance = None if math.isnan(each.propensity) else round(each.propensity, 9)
    extra = {"propensity": chance, "reason": each.reason}
    return _item(reader, each.rank, each.item_id, each.score) | extra | {"reasons": [asdict(r) for r in each.reasons]}
