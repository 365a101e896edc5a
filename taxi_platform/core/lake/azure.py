"""A container of Azure Blob Storage as a lake."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, ClassVar
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings, ExponentialRetry

from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake.azure_reasons import code_of, explained
from taxi_platform.core.lake.bucket import BucketLake, Checksum, Digest, Held, OvertakenError
from taxi_platform.core.lake.metadata import content_type_of, in_ascii
from taxi_platform.core.lake.places import AzureAccount

#: Bytes of a block. A blob has up to 50,000 of them: a month may have 400 GB.
_BLOCK = 8 << 20
#: Seconds until somebody picks up the phone, and for one request.
_CONNECT, _REQUEST = 10, 120
#: How a request is refused whose blob is no more, or was never, what it was to replace. `InvalidBlockList` it is where
#: somebody else finished meanwhile, which throws away the blocks of everybody who has not.
_OVERTAKEN = {"ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists", "BlobNotFound", "InvalidBlockList"}


class _ChangedError(Exception):
    """Other bytes were read than those that were to be sent."""


class _MD5:
    """The checksum that stands beside a whole blob. Azure checks its blocks, and keeps what it is told of the whole."""

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes, /) -> None:
        self._digest.update(data)

    def value(self) -> str:
        return b64encode(self._digest.digest()).decode()

    def raw(self) -> bytearray:
        return bytearray(self._digest.digest())


@dataclass(frozen=True)
class AzureLake(BucketLake):
    """See `BucketLake`; a bucket is a container, a version an ETag.

    What was begun and never finished Azure throws away itself, after a week or when the next upload of the blob is
    finished.

    Attributes:
        account: Whose container it is.
        attempts: How often a request is made that Azure cannot answer right now.
    """

    account: AzureAccount
    attempts: int = 4

    scheme: ClassVar[str] = "az"
    service: ClassVar[str] = "Azure"
    failures: ClassVar[tuple[type[Exception], ...]] = (AzureError, _ChangedError)

    def _new_digest(self) -> Digest:
        return _MD5()

    def _look(self, name: str) -> Held | None:
        try:
            found: Any = self._container.get_blob_client(name).get_blob_properties()
        except HttpResponseError as error:
            if code_of(error) == "BlobNotFound":
                return None
            raise
        md5 = found.content_settings.content_md5
        return Held(_version(found.etag), Checksum(b64encode(md5).decode() if md5 else "", found.size), found.metadata)

    def _see_bucket(self) -> None:
        next(iter(self._container.list_blobs(results_per_page=1)), None)

    def _send(
        self, name: str, stream: BinaryIO, checksum: Checksum, metadata: Mapping[str, str], replaces: Held | None
    ) -> Held:
        blob, digest, blocks = self._container.get_blob_client(name), _MD5(), list[BlobBlock]()
        ours = uuid4().hex  # two who send at once must not take each other's blocks for their own
        try:
            while block := stream.read(_BLOCK):
                digest.update(block)
                blocks.append(BlobBlock(f"{ours}-{len(blocks):05d}"))
                blob.stage_block(blocks[-1].id, block, validate_content=True)
            if digest.value() != checksum.value:
                raise _ChangedError
            done: Any = blob.commit_block_list(
                blocks,
                content_settings=ContentSettings(content_type_of(name), content_md5=digest.raw()),
                metadata=in_ascii(metadata),
                validate_content=True,
                **_if_still(replaces),
            )
        except HttpResponseError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise
        return Held(_version(done["etag"]), checksum, metadata)

    def _is_lost(self, error: Exception) -> bool:
        """Whether a block arrived as another, or was read as another."""
        return isinstance(error, _ChangedError) or (
            isinstance(error, HttpResponseError) and code_of(error) in ("Md5Mismatch", "Crc64Mismatch")
        )

    def _remove(self, name: str, held: Held) -> None:
        try:
            self._container.get_blob_client(name).delete_blob(**_if_still(held))
        except HttpResponseError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise

    def _receive(self, name: str, held: Held, stream: BinaryIO) -> None:
        try:
            self._container.get_blob_client(name).download_blob(**_if_still(held)).readinto(stream)
        except HttpResponseError as error:
            if code_of(error) in _OVERTAKEN:
                raise OvertakenError from None
            raise

    def _list(self, prefix: str) -> Iterable[tuple[str, str]]:
        there: Any = self._container.list_blobs(name_starts_with=prefix)
        return ((blob.name, _version(blob.etag)) for blob in there)

    @contextmanager
    def _explained(self, what: str, where: str) -> Generator[None, None, None]:
        with explained(LakeError, what, where=where, container=self.bucket):
            yield

    @cached_property
    def _container(self) -> Any:
        return _service(
            self.account,
            retry_policy=ExponentialRetry(
                initial_backoff=1, increment_base=2, retry_total=self.attempts - 1, random_jitter_range=1
            ),
            connection_timeout=_CONNECT,
            read_timeout=_REQUEST,
            max_single_get_size=_BLOCK,
            max_chunk_get_size=_BLOCK,
        ).get_container_client(self.bucket)


def _service(account: AzureAccount, **how: Any) -> BlobServiceClient:
    """A client of an account.

    Raises:
        ClientAuthenticationError: None is named. Nothing of a value is told.
    """
    try:
        if account.connection_string:
            return BlobServiceClient.from_connection_string(account.connection_string, **how)
    except (ValueError, KeyError):
        raise ClientAuthenticationError("AZURE_STORAGE_CONNECTION_STRING is no connection string") from None
    if not account.name:
        raise ClientAuthenticationError("no account is named")
    from azure.identity import DefaultAzureCredential

    credential: Any = account.key or DefaultAzureCredential()
    return BlobServiceClient(f"https://{account.name}.blob.core.windows.net", credential=credential, **how)


def _if_still(held: Held | None) -> dict[str, Any]:
    """The condition that a blob is still what it was, or still none."""
    if held is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{held.version}"', "match_condition": MatchConditions.IfNotModified}


def _version(etag: str) -> str:
    return etag.strip('"')
