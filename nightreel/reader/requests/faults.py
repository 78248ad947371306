"""What a reader's methods raise where a version's files do not fit each other: a BundleError, whatever went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from nightreel.bundle.format import BundleError
from nightreel.bundle.integrity.check import FAULTS
from nightreel.errors import UserError


class Versioned(Protocol):
    """Something that answers from a version."""

    @property
    def digest(self) -> str:
        """Of the version."""


Asking = ParamSpec("Asking")
Result = TypeVar("Result")
Own = TypeVar("Own", bound=Versioned)


def answering(method: Callable[Concatenate[Own, Asking], Result]) -> Callable[Concatenate[Own, Asking], Result]:
    """Decorate a method that answers from a version: errors of its arrays and tables become BundleError.

    Columns that few requests need are read late, and what models make of their weights is known only when they are
    asked. The original error stays as the cause.
    """

    @wraps(method)
    def answered(own: Own, /, *arguments: Asking.args, **named: Asking.kwargs) -> Result:
        try:
            return method(own, *arguments, **named)
        except UserError:
            raise
        except (*FAULTS, OSError) as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise  # the call itself does not fit the method
            first = next(iter(str(error).splitlines()), "")
            raise BundleError(
                f"version {own.digest[:12]}: {method.__name__} failed ({type(error).__name__}: {first}). Check the "
                "version with `nightreel verify`, or use another one; if it is whole, please report this."
            ) from error

    return cast(Callable[Concatenate[Own, Asking], Result], answered)
