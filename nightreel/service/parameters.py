"""Parameters of URLs: what a route does not know is refused, as an unknown field of a body is.

A list without the filter that was meant looks like a list with it: a misspelt age limit would never be noticed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel


async def refuse_unknown(request: Request) -> None:
    """A dependency of routes: raises RequestValidationError (422) for a parameter that the route does not know, and for
    one that is given twice but holds one value."""
    given = request.query_params
    if not given:
        return
    known = _parameters(request.scope["route"])
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            takes = f"this route takes {', '.join(known)}" if known else "this route takes none"
            raise _invalid(name, f"is not a parameter of this route{hint} ({takes})")
        if not known[name] and len(given.getlist(name)) > 1:
            raise _invalid(name, "is given more than once; give one value")


def _invalid(name: str, fault: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("query", name), "msg": fault, "type": "value_error"}])


def _parameters(route: APIRoute) -> Mapping[str, bool]:
    """The route's parameters, each with whether it may be repeated."""
    found: dict[str, bool] = {}
    for parameter in route.dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= _fields(kind)
        else:
            found[parameter.alias] = False
    return found


@cache
def _fields(kind: type[BaseModel]) -> Mapping[str, bool]:
    return {name: "tuple" in str(field.annotation) for name, field in kind.model_fields.items()}
