"""The explorer: one page over the service, and the routes that only this page needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from nightreel.bundle.item_facets import commonest
from nightreel.errors import UserError
from nightreel.reader.interests import interests
from nightreel.reader.reader import Reader
from nightreel.service.canary import Beside
from nightreel.service.json_body import JsonRoute
from nightreel.service.parameters import refuse_unknown
from nightreel.service.routes import list_of
from nightreel.service.schemas import Id, ListRequest, StoredId, Strict
from nightreel.service.worker_pool import Answers

router = APIRouter(dependencies=[Depends(refuse_unknown)], include_in_schema=False, route_class=JsonRoute)
PAGE = Path(__file__).parent / "page"
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
}
SOME = 40  # users in the selection
RECENT = 60  # displayed events of a history
MOST_LABELS = 60
INTERESTS = 12


class Compared(Strict):
    """Request for another channel's list. channel: its name; wanted: as for POST /recommend."""

    channel: Id
    wanted: ListRequest


@router.get("/")
def page() -> Response:
    """The explorer page."""
    return _file("explorer.html", "text/html; charset=utf-8")


@router.get("/explorer.css")
def style() -> Response:
    """Its style sheet."""
    return _file("explorer.css", "text/css; charset=utf-8")


@router.get("/explorer.js")
def script() -> Response:
    """Its script."""
    return _file("explorer.js", "text/javascript; charset=utf-8")


@router.get("/explorer/choices")
async def choices(request: Request) -> Response:
    """Users to choose from, the labels for the filters, and rules that match nothing."""

    def question(reader: Reader) -> dict[str, Any]:
        known = [] if reader.config["pseudonymised"] else reader.user_ids
        step = max(1, len(known) // SOME)
        return {
            "users": [known[at].as_py() for at in range(0, len(known), step)][:SOME],
            "genres": commonest(reader.facets.genres, MOST_LABELS),
            "media_types": commonest(reader.facets.media_types, MOST_LABELS),
            # The last of an item's languages is the one without its region.
            "languages": commonest([row[-1:] for row in reader.facets.languages], MOST_LABELS),
            "ages": bool(np.isfinite(reader.facets.min_ages).any()),
            "name": reader.config.get("name"),
            "rules": len(reader.rules.rows) if reader.rules is not None else 0,
            "unmatched_rules": [str(each) for each in reader.rules.unmatched] if reader.rules is not None else [],
        }

    answers: Answers = request.app.state.answers
    return Response(await answers.of("choices", question), media_type="application/json")


@router.get("/explorer/history")
async def history(request: Request, user: Annotated[StoredId, Query()]) -> Response:
    """A user's positive events on items that may be shown, newest first, and interests."""

    def question(reader: Reader) -> dict[str, Any]:
        row = int(reader.users.rows([user])[0])
        items, hidden = reader.users.histories[row][0].tolist()[::-1], reader.standing().hidden
        return {
            "known": row < len(reader.users),
            "events": len(items),
            "interests": _interests(reader, user),
            "items": [
                {
                    "item_id": reader.items.ids[i],
                    "title": reader.items.titles[i] or reader.items.ids[i],
                    "genres": list(reader.items.genres[i]),
                }
                for i in [i for i in items if not hidden[i]][:RECENT]
            ],
        }

    answers: Answers = request.app.state.answers
    return Response(await answers.of(("history", user), question), media_type="application/json")


def _interests(reader: Reader, user: str) -> list[dict[str, Any]]:
    """Strongest interests with the titles or searches behind them; none if the version has no keywords."""
    try:
        found = interests(reader, user, k=INTERESTS)
    except UserError:
        return []
    return [
        {
            "word": each.word,
            "weight": round(each.weight, 4),
            "events": each.events,
            "from": [f"search: {origin.text}" if not origin.item_id else origin.text for origin in each.origins],
        }
        for each in found
    ]


@router.get("/explorer/channels")
async def channels(request: Request) -> Response:
    """Channels that can be compared."""
    answers: Answers = request.app.state.answers
    beside: Beside = request.app.state.beside
    return Response(await answers.of(None, lambda _: beside.channels()), media_type="application/json")


@router.post("/explorer/beside")
async def other(request: Request, asked: Compared) -> Response:
    """Another channel's list for the same request."""
    answers: Answers = request.app.state.answers
    beside: Beside = request.app.state.beside

    def question(_: Reader) -> dict[str, Any]:
        return {"channel": asked.channel, **list_of(beside.reader(asked.channel), asked.wanted, 0)}

    return Response(await answers.of(None, question), media_type="application/json")


def _file(name: str, kind: str) -> Response:
    return Response((PAGE / name).read_bytes(), media_type=kind, headers=HEADERS)
