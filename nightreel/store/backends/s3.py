"""A store in an S3 bucket, on any server that supports conditional writes.

Endpoint, region and credentials come from the standard AWS environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions as faults
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from nightreel.loopback import is_loopback
from nightreel.store.backends.base import Conflict, Missing, StoreError, Token, check_key
from nightreel.store.backends.s3_errors import CONDITION_FAILED, ConditionFailed, clear_errors, code, tag
from nightreel.store.backends.s3_upload import abandon, copy, upload

CONNECT_S, READ_S = 5.0, 60.0  # for each of three attempts
PART = 1 << 20
_PROBE = "probe/conditional-writes"


class S3Store:
    """`s3://bucket/prefix`. A missing bucket is created by the first write, if permitted.

    boto3 retries failed connections, throttling and 5xx responses; nothing else is retried.
    """

    def __init__(self, uri: str) -> None:
        self._bucket, _, prefix = uri.removeprefix("s3://").strip("/").partition("/")
        if not self._bucket:
            raise StoreError(f"{uri}: the bucket is missing. Use the form s3://bucket/prefix.")
        self.uri = uri.rstrip("/")
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._client = _client(self.uri)
        self._honours_conditions = False

    def get(self, key: str) -> bytes:
        found = self.get_with_token(key)
        if found is None:
            raise Missing(f"{self.uri}: holds no {key}.")
        return found[0]

    def get_file(self, key: str, path: Path) -> None:
        with self._clear_errors(key):
            self._client.download_file(self._bucket, self._name(key), str(path))

    def stamp(self, key: str) -> tuple[int, str]:
        """(bytes, tag) of an object, which change with its content; raises Missing."""
        with self._clear_errors(key):
            head = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
            return int(head["ContentLength"]), tag(head)

    def parts(self, key: str) -> Iterator[bytes]:
        """Iterate over the content in parts; raises Missing."""
        with self._clear_errors(key):
            yield from self._client.get_object(Bucket=self._bucket, Key=self._name(key))["Body"].iter_chunks(PART)

    def get_with_token(self, key: str) -> tuple[bytes, Token] | None:
        try:
            with self._clear_errors(key):
                answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
                return answer["Body"].read(), Token(tag(answer))
        except Missing:
            return None

    def put(self, key: str, content: bytes | Path) -> None:
        with self._clear_errors(key):
            try:
                self._write(key, content)
            except faults.ClientError as error:
                if code(error) != "NoSuchBucket":
                    raise
                self._create_bucket()
                self._write(key, content)

    def list(self, prefix: str) -> dict[str, int]:
        keys: dict[str, int] = {}
        try:
            with self._clear_errors(prefix):
                pages = self._client.get_paginator("list_objects_v2")
                for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                    for entry in page.get("Contents", []):
                        keys[entry["Key"].removeprefix(self._prefix)] = entry["Size"]
        except Missing:
            return {}
        return dict(sorted(keys.items()))

    def exists(self, key: str) -> bool:
        try:
            with self._clear_errors(key):
                self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except Missing:
            return False
        return True

    def compare_and_swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        self.require_swaps()
        try:
            with self._clear_errors(key):
                return self._swap(key, expected, content)
        except Missing:  # some servers return this for If-Match on a missing key
            raise self._conflict(key) from None

    def require_swaps(self) -> None:
        """Check that writes whose condition is false fail, or two publishers could both win. Checked once."""
        if self._honours_conditions:
            return
        self.put(_PROBE, b"Nightreel writes this to see whether conditions are honoured.\n")
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"00000000000000000000000000000000"'}):
            try:
                with self._clear_errors(_PROBE):
                    self._client.put_object(Bucket=self._bucket, Key=self._name(_PROBE), Body=b"ignored\n", **condition)
            except ConditionFailed:
                continue
            raise StoreError(
                f"{self.uri}: this server ignores conditional writes ({next(iter(condition))}), so a version could "
                "be overwritten unnoticed. Use S3, MinIO, SeaweedFS or a local folder as NIGHTREEL_STORE."
            )
        self._honours_conditions = True

    def folder(self, prefix: str) -> Path | None:
        return None

    def copy(self, source: str, target: str, sha256: str) -> bool:
        try:
            with self._clear_errors(source):
                return copy(self._client, self._bucket, self._name(source), self._name(target), sha256)
        except Missing:
            return False

    def delete(self, key: str) -> None:
        with self._clear_errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def written(self, key: str) -> float:
        with self._clear_errors(key):
            head = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
            return float(head["LastModified"].timestamp())

    def sweep(self, before: float) -> int:
        try:
            with self._clear_errors("unfinished uploads"):
                return abandon(self._client, self._bucket, self._prefix, before)
        except Missing:
            return 0

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _write(self, key: str, content: bytes | Path) -> None:
        if isinstance(content, Path):
            upload(self._client, self._bucket, self._name(key), content)
        else:
            tag(
                self._client.put_object(
                    Bucket=self._bucket, Key=self._name(key), Body=content, ChecksumAlgorithm="SHA256"
                )
            )

    def _swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        try:
            answer = self._client.put_object(Bucket=self._bucket, Key=self._name(key), Body=content, **condition)
        except faults.ClientError as error:
            if code(error) not in CONDITION_FAILED:
                raise
            # A retry fails on our own write if the first attempt arrived but its response was lost: that is a success.
            if error.response["ResponseMetadata"].get("RetryAttempts"):
                now = self.get_with_token(key)
                if now is not None and now[0] == content:
                    return now[1]
            raise self._conflict(key) from None
        return Token(tag(answer))

    def _conflict(self, key: str) -> Conflict:
        return Conflict(f"{self.uri}: {key} was changed by another process in the meantime. Run again.")

    def _create_bucket(self) -> None:
        region = self._client.meta.region_name
        place = (
            {}
            if region in (None, "us-east-1", "aws-global")
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        try:
            self._client.create_bucket(Bucket=self._bucket, **place)
        except faults.ClientError as error:
            if code(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise StoreError(
                    f"{self.uri}: bucket {self._bucket} does not exist and can't be created ({code(error)}). "
                    "Create it, or name another store in NIGHTREEL_STORE."
                ) from error

    def _clear_errors(self, key: str) -> AbstractContextManager[None]:
        return clear_errors(self.uri, str(self._client.meta.endpoint_url), key)


def _client(uri: str) -> Any:
    settings = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "max_attempts": 3},
        proxies={} if is_loopback(_own_endpoint()) else None,  # None: as set in the environment
        # Servers other than AWS have no host name per bucket.
        s3={"addressing_style": "path" if _own_endpoint() else "auto"},
    )
    try:
        return _session().client("s3", region_name=_region(), config=settings)
    except (faults.BotoCoreError, ValueError) as error:
        raise StoreError(f"{uri}: the AWS settings are invalid: {error}. Correct the AWS_… variables.") from error


def _session() -> boto3.session.Session:
    """A session of its own, because boto3's shared one would keep the first credentials.

    The description of S3's interface is read from disk once in a process: it is what makes a session slow.
    """
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=session)


@functools.cache
def _loader() -> Loader:
    return create_loader()


def _own_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _region() -> str | None:
    """us-east-1 for a non-AWS server without a region; AWS needs no default."""
    if os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or not _own_endpoint():
        return os.environ.get("AWS_REGION")  # boto3 itself reads only AWS_DEFAULT_REGION
    return "us-east-1"
