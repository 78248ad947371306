"""Errors of S3 servers and boto3 as messages: what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as faults
from boto3.exceptions import Boto3Error
from botocore.parsers import ResponseParserError

from nightreel.store.backends.base import Missing, StoreError, StoreUnreachable

CONDITION_FAILED = {"409", "412", "ConditionalRequestConflict", "PreconditionFailed"}
_REFUSED = {
    "401",
    "403",
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
}
_SKEWED = {"RequestTimeTooSkewed", "RequestExpired"}
_ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
_OVERLOADED = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
_LATE = (faults.ReadTimeoutError, faults.ConnectTimeoutError)
_UNREACHABLE = (faults.HTTPClientError, faults.ConnectionError, faults.IncompleteReadError)


class ConditionFailed(StoreError):
    """A conditional write was rejected because its condition is false."""


class Stranger(Exception):
    """The server is not an S3 server: its response has no ETag."""


def tag(answer: dict[str, Any]) -> str:
    """The ETag of a response; every S3 server sends one. Raises Stranger."""
    if not answer.get("ETag"):
        raise Stranger
    return str(answer["ETag"])


@contextmanager
def clear_errors(uri: str, endpoint: str, key: str) -> Iterator[None]:
    """Convert boto3's errors. Raises Missing, ConditionFailed, StoreUnreachable (also for 5xx), else StoreError."""
    try:
        yield
    except (faults.NoCredentialsError, faults.PartialCredentialsError) as error:
        raise StoreError(
            f"{uri}: no credentials found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)."
        ) from error
    except _LATE as error:
        raise StoreUnreachable(
            f"{uri}: the object store at {endpoint} timed out. Check its log, and run again later."
        ) from error
    except _UNREACHABLE as error:
        raise StoreUnreachable(
            f"{uri}: the object store can't be reached at {endpoint}. Start it, or correct AWS_ENDPOINT_URL."
        ) from error
    except (faults.BotoCoreError, ResponseParserError, Boto3Error, faults.ClientError, Stranger) as error:
        raise _explain(error, uri, endpoint, key) from error


def code(error: Exception) -> str:
    """The server's error code; boto3's transfers wrap the original error."""
    origin = _origin(error)
    return str(origin.response["Error"]["Code"]) if origin else type(error).__name__


def _explain(error: Exception, uri: str, endpoint: str, key: str) -> StoreError:
    name = code(error)
    if name in _ABSENT:
        return Missing(f"{uri}: holds no {key}.")
    if name in CONDITION_FAILED:
        return ConditionFailed(f"{uri}: {key}: {name}")
    if name in _SKEWED:
        return StoreError(
            f"{uri}: this machine's clock differs too much from the object store's ({name}). Correct the clock and run "
            "again."
        )
    if isinstance(error, (Stranger, ResponseParserError)):
        return StoreError(f"{uri}: the server at {endpoint} is not an S3 server. Correct AWS_ENDPOINT_URL.")
    if name in _REFUSED or "(AccessDenied)" in str(error):
        return StoreError(
            f"{uri}: the object store refused the credentials ({name}). Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and their permissions for this bucket."
        )
    if name in _OVERLOADED or _status(error) >= 500:
        return StoreUnreachable(
            f"{uri}: {key}: the object store at {endpoint} failed ({name}) in every attempt. Check its log (a full "
            "disk is a frequent cause), and run again later."
        )
    return StoreError(f"{uri}: {key}: {error}")


def _status(error: Exception) -> int:
    origin = _origin(error)
    return int(origin.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if origin else 0


def _origin(error: Exception) -> faults.ClientError | None:
    origin: BaseException | None = error
    while origin is not None and not isinstance(origin, faults.ClientError):
        origin = origin.__cause__ or origin.__context__
    return origin
