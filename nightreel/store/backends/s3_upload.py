"""Upload files to S3: checksums on every part, and large uploads resume after an interruption."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions as faults

from nightreel.store.backends.s3_errors import code, tag

PART_BYTES = 16 * 2**20
_MAX_PARTS = 10_000
_PARTS_AT_ONCE = 4
_COPIED_AT_ONCE = 64 * 2**20
SHA256 = "sha256"
"""Metadata field with the SHA-256 of the uploaded content; every S3 server keeps and copies it."""


@dataclass(frozen=True)
class _Target:
    client: Any
    bucket: str
    name: str

    @property
    def place(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.name}


def upload(client: Any, bucket: str, name: str, path: Path) -> None:
    """Upload a file as `name`: in one request, or in parts of 16 MB if it is larger.

    Parts of an earlier, interrupted upload of this name are reused if their MD5 matches. Raises botocore's errors.
    """
    target = _Target(client, bucket, name)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if path.stat().st_size <= PART_BYTES:
            tag(client.put_object(**target.place, Body=file, ChecksumAlgorithm="SHA256", Metadata={SHA256: sha256}))
            return
    unfinished = _unfinished(target)
    # If this fails, it was begun for other content, or another process has just completed it.
    if unfinished is not None and _send(target, path, unfinished) and said_content(client, bucket, name) == sha256:
        return
    created = client.create_multipart_upload(**target.place, ChecksumAlgorithm="SHA256", Metadata={SHA256: sha256})
    # Completed by another publisher of the same version: the content is the same.
    if not _send(target, path, created["UploadId"]) and said_content(client, bucket, name) != sha256:
        raise faults.ClientError({"Error": {"Code": "NoSuchUpload", "Message": name}}, "CompleteMultipartUpload")


def said_content(client: Any, bucket: str, name: str) -> str | None:
    """SHA-256 with which an object was uploaded; None if it has none. Raises botocore's errors (404)."""
    return _said(_head(client, bucket, name))


def copy(client: Any, bucket: str, source: str, target: str, sha256: str) -> bool:
    """Copy inside the bucket, including metadata; False if the source was not uploaded with this SHA-256. Raises
    botocore's errors (404)."""
    head = _head(client, bucket, source)
    if _said(head) != sha256:
        return False
    origin = {"Bucket": bucket, "Key": source}
    if head["ContentLength"] <= _COPIED_AT_ONCE:
        tag(client.copy_object(Bucket=bucket, Key=target, CopySource=origin).get("CopyObjectResult", {}))
    else:
        client.copy(origin, bucket, target)  # in parts, after another request for the source's size
    return True


def _head(client: Any, bucket: str, name: str) -> dict[str, Any]:
    head: dict[str, Any] = client.head_object(Bucket=bucket, Key=name)
    tag(head)
    return head


def _said(head: dict[str, Any]) -> str | None:
    said: str | None = head["Metadata"].get(SHA256)
    return said


def _send(target: _Target, path: Path, upload_id: str) -> bool:
    """Upload the missing parts and complete the upload; False if it no longer exists."""
    try:
        there = _parts(target, upload_id)
        size = max(PART_BYTES, -(-path.stat().st_size // _MAX_PARTS))
        numbers = range(1, -(-path.stat().st_size // size) + 1)
        with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
            parts = list(
                pool.map(lambda n: _send_part(target, upload_id, n, _read(path, n, size), there.get(n)), numbers)
            )
        target.client.complete_multipart_upload(**target.place, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except faults.ClientError as error:
        if code(error) not in ("NoSuchUpload", "404"):
            raise
        return False
    return True


def _send_part(
    target: _Target, upload_id: str, number: int, content: bytes, there: dict[str, Any] | None
) -> dict[str, Any]:
    """Upload one part unless the server has it; returns what is needed to complete the upload."""
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    said = there["ETag"] if there else None
    if said is None or said.strip('"') != hashlib.md5(content, usedforsecurity=False).hexdigest():
        said = tag(
            target.client.upload_part(
                **target.place, UploadId=upload_id, PartNumber=number, Body=content, ChecksumSHA256=checksum
            )
        )
    return {"PartNumber": number, "ETag": said, "ChecksumSHA256": checksum}


def _read(path: Path, number: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek((number - 1) * size)
        return file.read(size)


def _unfinished(target: _Target) -> str | None:
    """The newest unfinished upload of this name."""
    pages = target.client.get_paginator("list_multipart_uploads")
    found = [
        each
        for page in pages.paginate(Bucket=target.bucket, Prefix=target.name)
        for each in page.get("Uploads", [])
        if each["Key"] == target.name
    ]
    return max(found, key=lambda each: each["Initiated"])["UploadId"] if found else None


def _parts(target: _Target, upload_id: str) -> dict[int, dict[str, Any]]:
    pages = target.client.get_paginator("list_parts").paginate(**target.place, UploadId=upload_id)
    return {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}


def abandon(client: Any, bucket: str, prefix: str, before: float) -> int:
    """Abort the uploads below a prefix that were begun before `before` (epoch seconds); returns their number."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    stale = [each for page in pages for each in page.get("Uploads", []) if each["Initiated"].timestamp() < before]
    for each in stale:
        client.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])
    return len(stale)
