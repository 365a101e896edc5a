"""A bucket of S3 as a lake: Amazon's, or any that speaks the same (`?endpoint=`)."""

# boto3 makes its methods when it runs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from taxi_platform.core.lake.bucket import BucketLake, Checksum, Digest, Held, OvertakenError
from taxi_platform.core.lake.crc32c import CRC32C
from taxi_platform.core.lake.s3_reasons import code_of, explained

#: Larger files are sent in parts, so that a line that breaks costs one of them; each is in memory while it is sent.
_PART = 8 << 20
_BLOCK = 1 << 20
#: Seconds until somebody answers; and in which a request has to move something.
_CONNECT, _READ = 10, 60
#: How often one request is sent, with growing pauses, where the service is busy or the line breaks.
_TRIES = 8
#: An upload nobody has ended after this long is nobody's: its parts are paid for until somebody does.
_ABANDONED = timedelta(days=1)
#: The name of the checksum in an object's own metadata, for services that keep none.
_CRC32C = "crc32c"
_GONE = {"404", "NoSuchKey", "NoSuchVersion", "NotFound"}
#: Amazon's words for "another one is there now", also for one that is just being put
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
_OVERTAKEN = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict", *_GONE}


@dataclass(frozen=True)
class S3Lake(BucketLake):
    """See `BucketLake`; a version is an ETag.

    Attributes:
        endpoint: Whose S3 it is; empty: Amazon's.
        region: Where the bucket is; empty: what AWS's own variables and files say.
    """

    endpoint: str = ""
    region: str = ""

    scheme: ClassVar[str] = "s3"
    service: ClassVar[str] = "the S3 service"
    failures: ClassVar[tuple[type[Exception], ...]] = (ClientError, BotoCoreError)

    def _new_digest(self) -> Digest:
        return CRC32C()

    def _look(self, name: str) -> Held | None:
        try:
            found = self._client.head_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
        except ClientError as error:
            if code_of(error) in _GONE:
                return None
            raise
        metadata: dict[str, str] = found["Metadata"]
        # Of an object sent in parts by others it may be a checksum of checksums, which says nothing of the whole.
        whole = found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and found.get("ChecksumCRC32C")
        return Held(
            _plain(found["ETag"]), Checksum(whole or metadata.get(_CRC32C, ""), found["ContentLength"]), metadata
        )

    def _is_whole(self, path: Path, held: Held) -> bool:
        if held.checksum.value:
            return super()._is_whole(path, held)
        # Somebody else's, of whose bytes the service says nothing but how many there are.
        return path.exists() and path.stat().st_size == held.checksum.size

    def _see_bucket(self) -> None:
        self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def _send(
        self, name: str, stream: BinaryIO, checksum: Checksum, metadata: Mapping[str, str], replaces: Held | None
    ) -> Held:
        where = {"Bucket": self.bucket, "Key": name}
        metadata = {**metadata, _CRC32C: checksum.value}
        says = {"Metadata": metadata, "ContentType": "application/vnd.apache.parquet"}
        condition = {"IfMatch": f'"{replaces.version}"'} if replaces else {"IfNoneMatch": "*"}
        try:
            if checksum.size <= _PART:
                sent = self._client.put_object(
                    **where,
                    **says,
                    **condition,
                    Body=stream,
                    ContentLength=checksum.size,
                    ChecksumCRC32C=checksum.value,
                )
            else:
                sent = self._send_parts(where, says, condition, stream, checksum)
        except ClientError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise
        return Held(_plain(sent["ETag"]), checksum, metadata)

    def _send_parts(
        self,
        where: Mapping[str, str],
        says: Mapping[str, Any],
        condition: Mapping[str, str],
        stream: BinaryIO,
        checksum: Checksum,
    ) -> Any:
        """Send a large object part by part; it appears when all are there, or never."""
        self._end_abandoned(where["Key"])
        whole = {"ChecksumAlgorithm": "CRC32C", "ChecksumType": "FULL_OBJECT"}
        upload = {"UploadId": self._client.create_multipart_upload(**where, **says, **whole)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            while part := stream.read(_PART):
                digest = CRC32C()
                digest.update(part)
                told = {"PartNumber": len(parts) + 1, "ChecksumCRC32C": digest.value()}
                sent = self._client.upload_part(**where, **upload, **told, Body=part, ContentLength=len(part))
                parts.append({**told, "ETag": sent["ETag"]})
            return self._client.complete_multipart_upload(
                **where,
                **upload,
                **condition,
                MultipartUpload={"Parts": parts},
                ChecksumCRC32C=checksum.value,
                ChecksumType="FULL_OBJECT",
            )
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # the service may have ended it itself
                self._client.abort_multipart_upload(**where, **upload)
            raise

    def _end_abandoned(self, name: str) -> None:
        """End uploads of an object that were never finished: who sent them was killed."""
        with suppress(ClientError):  # not every service lists them, nor every user may
            found = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=name).get("Uploads", [])
            for it in found:
                if it["Key"] == name and datetime.now(UTC) - it["Initiated"] > _ABANDONED:
                    self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=it["UploadId"])

    def _is_lost(self, error: Exception) -> bool:
        return isinstance(error, ClientError) and code_of(error) == "NoSuchUpload"

    def _remove(self, name: str, held: Held) -> None:
        try:
            self._client.delete_object(Bucket=self.bucket, Key=name, IfMatch=f'"{held.version}"')
        except ClientError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise

    def _receive(self, name: str, held: Held, stream: BinaryIO) -> None:
        try:
            found = self._client.get_object(Bucket=self.bucket, Key=name, IfMatch=f'"{held.version}"')
            for block in found["Body"].iter_chunks(_BLOCK):
                stream.write(block)
        except ClientError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise

    def _list(self, prefix: str) -> Iterable[tuple[str, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return ((it["Key"], _plain(it["ETag"])) for page in pages for it in page.get("Contents", []))

    def _explained(self, what: str, where: str) -> AbstractContextManager[None]:
        return explained(what, where, self.bucket, self.endpoint)

    @cached_property
    def _client(self) -> Any:
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            # Ours is sent with each object; the client's own is of another kind.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        make = cast(Any, Session)().client
        return make("s3", config=config, endpoint_url=self.endpoint or None, region_name=self.region or None)


def _plain(etag: str) -> str:
    return etag.strip('"')
