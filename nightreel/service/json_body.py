"""Bodies of requests: JSON in which every name stands once. What is none is refused with its reason.

Python's reader takes the last of two equal names, and NaN: a request that names two age limits would get one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is read here."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the reading of the body."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def handle(request: Request) -> Response:
            read = _Read(request.scope, request.receive)
            await read.load()
            return await handler(read)

        return handle


class _Read(Request):
    content: Any = None

    async def load(self) -> None:
        body = await self.body()
        if body:
            _require_json(self.headers.get("content-type", ""))
            self.content = parsed(body)

    async def json(self) -> Any:
        return self.content


def parsed(body: bytes) -> Any:
    """A body's JSON; raises RequestValidationError (422) for what is none.

    Example:
        >>> parsed(b'{"k": 3}')
        {'k': 3}
    """
    try:
        return json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        _refuse(f"is no JSON: {error.msg} (character {error.pos})")
    except UnicodeDecodeError:
        _refuse("is no JSON: it is not in UTF-8")
    except RecursionError:
        _refuse("is nested too deeply")
    except ValueError as error:  # of a number with thousands of digits, and from below
        _refuse(str(error))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"names {twice[:60]!r} twice; give it once")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"holds {text}, which is no JSON")


def _require_json(kind: str) -> None:
    message = Message()
    message["content-type"] = kind
    if message.get_content_type() != "application/json" and not message.get_content_subtype().endswith("+json"):
        _refuse("is not sent as JSON; send it with the header Content-Type: application/json")


def _refuse(fault: str) -> NoReturn:
    raise RequestValidationError([{"loc": ("body",), "msg": fault, "type": "value_error"}])
