"""A bucket of Google Cloud Storage as a lake."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, cast

import requests
from google.api_core import exceptions as api
from google.api_core.retry import if_transient_error
from google.auth.exceptions import TransportError
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_platform.core.errors import LakeError
from taxi_platform.core.google import GoogleClients, explained, made
from taxi_platform.core.lake.bucket import BucketLake, Checksum, Digest, Held, OvertakenError
from taxi_platform.core.lake.crc32c import CRC32C
from taxi_platform.core.lake.metadata import content_type_of

_CHUNK = 8 << 20
#: Seconds until somebody picks up the phone. Longer than that it is a wrong number.
_CONNECT = 10.0
#: Seconds one request may take; a chunk has to be sent in them, so this is also how slow a line may be.
_REQUEST = 120.0
#: Seconds in which a look at what is there succeeds, or is given up.
_LOOK = 20.0


@dataclass(frozen=True)
class GCSLake(BucketLake):
    """See `BucketLake`; a version is a generation.

    Attributes:
        google: Makes the client.
        patience: Seconds to keep trying a request that Google cannot answer right now.
    """

    google: GoogleClients
    patience: float = 120.0

    scheme: ClassVar[str] = "gs"
    service: ClassVar[str] = "Google"
    failures: ClassVar[tuple[type[Exception], ...]] = (api.GoogleAPICallError, ValueError)

    def _new_digest(self) -> Digest:
        return CRC32C()

    def _look(self, name: str) -> Held | None:
        blob = self._bucket.get_blob(name, timeout=(_CONNECT, _REQUEST), retry=self._patient.with_predicate(_may_pass))
        return None if blob is None else _held(blob)

    def _see_bucket(self) -> None:
        list(self._bucket.list_blobs(max_results=1, timeout=_REQUEST, retry=self._patient))

    def _send(
        self, name: str, stream: BinaryIO, checksum: Checksum, metadata: Mapping[str, str], replaces: Held | None
    ) -> Held:
        blob = self._bucket.blob(name, chunk_size=_CHUNK)
        # Not by `crc32c_checksum_value=`: by its own words the library leaves that out of what it sends in one
        # request, which is any file below 8 MB (`Blob.upload_from_file`).
        blob.metadata, blob.crc32c = dict(metadata), checksum.value
        # The library's own checksum is off: the object carries ours, and on a mismatch the library deletes whatever
        # is there by then, also what another writer put there.
        try:
            blob.upload_from_file(
                stream,
                size=checksum.size,
                content_type=content_type_of(name),
                if_generation_match=int(replaces.version) if replaces else 0,
                checksum=None,
                timeout=_REQUEST,
                retry=self._patient,
            )
        except api.PreconditionFailed:
            raise OvertakenError from None
        return _held(blob)

    def _is_lost(self, error: Exception) -> bool:
        """Whether Google forgot the upload, or kept less of a chunk than its library can handle."""
        return isinstance(error, ValueError) or (isinstance(error, api.GoogleAPICallError) and error.code in (404, 410))

    def _remove(self, name: str, held: Held) -> None:
        # Of the very generation: with versioning on, a delete without it would only set the object aside.
        blob = self._bucket.blob(name, generation=int(held.version))
        try:
            blob.delete(if_generation_match=int(held.version), timeout=_REQUEST, retry=self._patient)
        except (api.PreconditionFailed, api.NotFound):  # replaced or removed already
            raise OvertakenError from None

    def _receive(self, name: str, held: Held, stream: BinaryIO) -> None:
        blob = self._bucket.blob(name, generation=int(held.version))
        try:
            # Compared afterwards with what the bucket says of the object, which an answer's headers may not say.
            blob.download_to_file(stream, checksum=None, timeout=_REQUEST, retry=self._patient)
        except api.NotFound:
            raise OvertakenError from None

    def _list(self, prefix: str) -> Iterable[tuple[str, str]]:
        # Who asks what has changed asks again soon: an answer that takes long is of no use.
        retry = self._patient.with_predicate(_may_pass).with_timeout(min(self.patience, _LOOK))
        there: Any = self._bucket.list_blobs(prefix=prefix, timeout=(_CONNECT, _LOOK), retry=retry)
        return ((blob.name, str(blob.generation)) for blob in there)

    @contextmanager
    def _explained(self, what: str, where: str) -> Generator[None, None, None]:
        bucket = f"gs://{self.bucket}"
        with explained(
            LakeError,
            what,
            where=where,
            absent=f"the bucket does not exist: set TAXI_LAKE_URL to one that does, or create it with "
            f"gcloud storage buckets create {bucket}",
            roles=f"the role roles/storage.objectUser on {bucket}",
        ):
            yield

    @cached_property
    def _bucket(self) -> Any:
        return cast(Any, made(self.google.storage)).bucket(self.bucket)

    @property
    def _patient(self) -> Any:
        retry = cast(Any, DEFAULT_RETRY)
        return retry.with_delay(initial=0.2, maximum=15.0).with_timeout(self.patience)


def _held(blob: Any) -> Held:
    return Held(str(blob.generation), Checksum(blob.crc32c, blob.size), blob.metadata or {})


def _may_pass(error: Exception) -> bool:
    """Whether the first request is worth another try."""
    broken = if_transient_error(error) or isinstance(error, api.ServerError | requests.Timeout)
    return broken and not _is_unreachable(error)


def _is_unreachable(error: Exception) -> bool:
    """Whether nobody answers at this address: a wrong host or no network, which waiting will not mend."""
    reason: Any = error.args[0] if isinstance(error, TransportError) and error.args else error
    if isinstance(reason, requests.ConnectTimeout):
        return True
    # requests has one error for a line that broke and one that never was; urllib3's inside of it tells them apart.
    within: Any = reason.args[0] if isinstance(reason, requests.ConnectionError) and reason.args else None
    cause = getattr(within, "reason", None)
    return type(cause).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")
