"""A bucket of Amazon S3, or of any service that speaks its protocol, as a lake."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake.bucket import BucketLake, Checksum, Digest, Held, OvertakenError
from taxi_platform.core.lake.crc32c import CRC32C
from taxi_platform.core.lake.metadata import content_type_of, in_ascii
from taxi_platform.core.lake.s3_reasons import code_of, explained, status_of

#: Bytes of a part, and of what is sent in one request. S3 takes 10,000 parts: a month may have 160 GB.
_PART = 16 << 20
_BLOCK = 1 << 20
#: Seconds until somebody picks up the phone, and for one request.
_CONNECT, _REQUEST = 10, 120
#: An upload nobody has finished since then never will be. A younger one may be another writer's.
_ABANDONED = timedelta(days=1)
#: How an upload is refused whose object is no more, or was never, what it was to replace. Amazon says 409 of two that
#: are finished in the same moment, and 404 (`NoSuchKey`) of an object that was removed.
_OVERTAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
_LOST = {"NoSuchUpload", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
#: What a service says of a wish it does not know, and of one that is not allowed.
_NOT_FOR_US = {"AccessDenied", "NotImplemented", "MethodNotAllowed"}


@dataclass(frozen=True)
class S3Lake(BucketLake):
    """See `BucketLake`; a version is an ETag, which equal bytes may share: they are the same month then.

    Attributes:
        endpoint: Of a service that is not Amazon's; None for what the variables say, or Amazon's.
        region: Of the bucket; None for what the variables say.
        attempts: How often a request is made that the service cannot answer right now.
        abandoned: How old an unfinished upload must be to be ended.
    """

    endpoint: str | None = None
    region: str | None = None
    attempts: int = 5
    abandoned: timedelta = _ABANDONED

    scheme: ClassVar[str] = "s3"
    service: ClassVar[str] = "S3"
    failures: ClassVar[tuple[type[Exception], ...]] = (ClientError, BotoCoreError)

    def _new_digest(self) -> Digest:
        return CRC32C()

    def _look(self, name: str) -> Held | None:
        try:
            said = self._client.head_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
        except ClientError as error:
            if status_of(error) == 404:
                return None
            # What is wrong stands in an answer's body, which this one has not.
            self._see_bucket()
            raise
        return _held(said, said["ContentLength"], said["Metadata"])

    def _see_bucket(self) -> None:
        self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def _send(
        self, name: str, stream: BinaryIO, checksum: Checksum, metadata: Mapping[str, str], replaces: Held | None
    ) -> Held:
        self._end_abandoned(name)
        condition = {"IfMatch": f'"{replaces.version}"'} if replaces else {"IfNoneMatch": "*"}
        about = {
            "Bucket": self.bucket,
            "Key": name,
            "Metadata": in_ascii(metadata),
            "ContentType": content_type_of(name),
        }
        try:
            if checksum.size > _PART:
                said = self._send_parts(stream, checksum, about, condition)
            else:
                said = self._client.put_object(Body=stream, ChecksumCRC32C=checksum.value, **about, **condition)
        except ClientError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise
        return _held(said, checksum.size, metadata)

    def _send_parts(
        self, stream: BinaryIO, checksum: Checksum, about: dict[str, Any], condition: dict[str, str]
    ) -> dict[str, Any]:
        """Put an object part by part; S3 compares the checksum of the whole before anybody sees it."""
        whole = {"ChecksumType": "FULL_OBJECT"}
        upload = {"Bucket": self.bucket, "Key": about["Key"]}
        started = self._client.create_multipart_upload(ChecksumAlgorithm="CRC32C", **whole, **about)
        upload["UploadId"] = started["UploadId"]
        parts: list[dict[str, Any]] = []
        try:
            while part := stream.read(_PART):
                digest = CRC32C()
                digest.update(part)
                sums = {"ChecksumCRC32C": digest.value()}
                number = len(parts) + 1
                taken = self._client.upload_part(Body=part, PartNumber=number, **sums, **upload)
                parts.append({"PartNumber": number, "ETag": taken["ETag"], **sums})
            return self._client.complete_multipart_upload(
                MultipartUpload={"Parts": parts},
                MpuObjectSize=checksum.size,
                ChecksumCRC32C=checksum.value,
                **whole,
                **upload,
                **condition,
            )
        except BaseException:
            # Its parts are paid for until it is ended. If it is finished after all, there is nothing to end.
            with suppress(*self.failures):
                self._client.abort_multipart_upload(**upload)
            raise

    def _end_abandoned(self, name: str) -> None:
        """End what was begun for an object and never finished, by whoever was killed meanwhile."""
        long_ago = datetime.now(UTC) - self.abandoned
        pages: Any = self._client.get_paginator("list_multipart_uploads")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=name):
                for it in page.get("Uploads", []):
                    if it["Key"] == name and it["Initiated"] <= long_ago:
                        self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=it["UploadId"])
        except ClientError as error:
            # Tidying is not what a month is to fail of; the bucket may end them by a rule of its own.
            if code_of(error) not in {*_NOT_FOR_US, "NoSuchUpload"}:
                raise

    def _is_lost(self, error: Exception) -> bool:
        """Whether the upload is no more (ended, or finished when its answer was lost), or other bytes arrived."""
        return isinstance(error, ClientError) and code_of(error) in _LOST

    def _remove(self, name: str, held: Held) -> None:
        try:
            self._client.delete_object(Bucket=self.bucket, Key=name, IfMatch=f'"{held.version}"')
        except ClientError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise

    def _receive(self, name: str, held: Held, stream: BinaryIO) -> None:
        tries = self.attempts
        while (here := stream.tell()) < held.checksum.size:
            try:
                said = self._client.get_object(
                    Bucket=self.bucket, Key=name, IfMatch=f'"{held.version}"', Range=f"bytes={here}-"
                )
                for block in said["Body"].iter_chunks(_BLOCK):
                    stream.write(block)
            except ClientError as error:
                if code_of(error) in _OVERTAKEN:
                    raise OvertakenError from None
                raise
            except (HTTPClientError, IncompleteReadError):
                tries -= 1
                if not tries:
                    raise

    def _list(self, prefix: str) -> Iterable[tuple[str, str]]:
        pages: Any = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            yield from ((it["Key"], _version(it)) for it in page.get("Contents", []))

    @contextmanager
    def _explained(self, what: str, where: str) -> Generator[None, None, None]:
        with explained(LakeError, what, where=where, bucket=self.bucket, endpoint=self.endpoint):
            yield

    @cached_property
    def _client(self) -> Any:
        # Of its own: the one all share must not be asked by two threads at once.
        session: Any = Session()
        return session.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=Config(
                connect_timeout=_CONNECT,
                read_timeout=_REQUEST,
                retries={"mode": "standard", "total_max_attempts": self.attempts},
                s3={"addressing_style": "path" if self.endpoint else "auto"},
                # Ours are the checksums: of the bytes as they were cleaned, not as they are sent.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


def _held(said: Mapping[str, Any], size: int, metadata: Mapping[str, str]) -> Held:
    # Of parts that somebody else sent it may be a checksum of checksums, which is none of the bytes.
    is_whole = said.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    return Held(_version(said), Checksum(said.get("ChecksumCRC32C", "") if is_whole else "", size), metadata)


def _version(said: Mapping[str, Any]) -> str:
    return said["ETag"].strip('"')
