"""A bucket of Google Cloud Storage as a lake."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import os
import time
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import google_crc32c
import requests
from google.api_core import exceptions as api
from google.api_core.retry import if_transient_error
from google.auth.exceptions import TransportError
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.files import publish, work_folder
from taxi_platform.core.google import GoogleClients, explained, made
from taxi_platform.core.lake import month_of_key, not_as_cleaned, not_held, object_key
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile

_CHUNK = 8 << 20
_BLOCK = 1 << 20
#: Seconds until somebody picks up the phone. Longer than that it is a wrong number.
_CONNECT = 10.0
#: Seconds one request may take; a chunk has to be sent in them, so this is also how slow a line may be.
_REQUEST = 120.0
#: Seconds in which a look at what is there succeeds, or is given up.
_LOOK = 20.0
#: How often a month is tried again because other writers replaced it meanwhile, or because it did not arrive whole.
_ATTEMPTS = 20
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class _Checksum:
    """What Google and we both know of an object's bytes."""

    crc32c: str
    size: int


@dataclass(frozen=True)
class GCSLake:
    """Objects appear when their upload is finished, so readers see the old month or the new one.

    An upload replaces the very generation of the object it has looked at, or nothing: it can be sent again as often as
    the line breaks, and two writers never overwrite each other unseen. Google gets the checksum before the bytes and
    refuses bytes that differ.

    Attributes:
        bucket: Name of the bucket.
        prefix: Where in the bucket the lake is; empty for all of it.
        cache: A folder for objects brought here to be read.
        google: Makes the client.
        patience: Seconds to keep trying a request that Google cannot answer right now.
    """

    bucket: str
    prefix: str
    cache: Path
    google: GoogleClients
    patience: float = 120.0

    def put(self, contract: TripContract, month: Month, file: ParquetFile) -> str:
        """See `Lake.put`."""
        name, uri = self._name(contract, month), self._uri(contract, month)
        with self._explained("the month could not be stored", uri), file.path.open("rb") as stream:
            sha256, checksum = _hashes(stream)
            if sha256 != file.sha256:
                raise not_as_cleaned(contract, month, uri)
            for _ in range(_ATTEMPTS):
                held: Any = self._look(name)
                if held and _checksum_of(held) == checksum and held.metadata and held.metadata.get("sha256") == sha256:
                    return uri
                blob = self._bucket.blob(name, chunk_size=_CHUNK)
                # Not by `crc32c_checksum_value=`: by its own words the library leaves that out of what it sends in one
                # request, which is any file below 8 MB (`Blob.upload_from_file`).
                blob.metadata, blob.crc32c = _metadata(file), checksum.crc32c
                try:
                    self._send(blob, stream, checksum.size, replaces=held.generation if held else 0)
                except api.PreconditionFailed:
                    continue  # another writer came between
                except (api.GoogleAPICallError, ValueError) as error:
                    if _hashes(stream) != (sha256, checksum):
                        raise not_as_cleaned(contract, month, uri) from None
                    if not _is_lost(error):
                        raise
                    self._see_bucket()
                    continue
                if _checksum_of(blob) != checksum:
                    # Whoever stands between us and Google took the checksum off: what is there is nobody's month.
                    with suppress(api.PreconditionFailed, api.NotFound):  # replaced or removed already
                        blob.delete(if_generation_match=blob.generation, timeout=_REQUEST, retry=self._patient)
                    raise LakeError(
                        "what was stored is not what was sent; it was removed, and the lake has no such month now",
                        where=uri,
                        cause="something between here and Google changes uploads and takes their checksums off",
                        fix="find out what that is, then run the month again",
                    )
                return uri
        raise LakeError(
            "the month could not be stored",
            where=uri,
            cause=f"the object was replaced by somebody else, or the upload lost, {_ATTEMPTS} times in a row",
            fix="see who else writes to this lake, then run the month again",
            may_pass_later=True,
        )

    def get(self, contract: TripContract, month: Month) -> ParquetFile:
        """See `Lake.get`."""
        name, uri = self._name(contract, month), self._uri(contract, month)
        with self._explained("the month could not be fetched", uri):
            for _ in range(_ATTEMPTS):
                held = self._held(contract, month)
                # Of its own for each generation: nothing is ever replaced under the eyes of somebody who reads it.
                path = self.cache / self.bucket / name / f"{held.generation}.parquet"
                with suppress(FileNotFoundError):
                    os.utime(path)  # asked for today, so nobody clears it away
                if _is_whole(path, held) or self._fetch(held, path):
                    _clear_away(path)
                    return ParquetFile(path, uri, str(held.generation))
        raise LakeError(
            "the month could not be fetched",
            where=uri,
            cause=f"it was replaced, or did not arrive as it is there, {_ATTEMPTS} times in a row",
            fix="see who else writes to this lake and what stands between here and Google, then try again",
            may_pass_later=True,
        )

    def uri(self, contract: TripContract, month: Month) -> str:
        """See `Lake.uri`."""
        uri = self._uri(contract, month)
        with self._explained("the lake could not be read", uri):
            self._held(contract, month)
        return uri

    def versions(self, contract: TripContract) -> dict[Month, str]:
        """See `Lake.versions`."""
        root = f"{self.prefix}/".lstrip("/")
        with self._explained("the lake could not be read", f"gs://{self.bucket}/{root}{contract.table}"):
            # Who asks what has changed asks again soon: an answer that takes long is of no use.
            retry = self._patient.with_predicate(_may_pass).with_timeout(min(self.patience, _LOOK))
            there: Any = self._bucket.list_blobs(
                prefix=f"{root}{contract.table}/", timeout=(_CONNECT, _LOOK), retry=retry
            )
            found = {month_of_key(contract, it.name.removeprefix(root)): str(it.generation) for it in there}
        return {month: version for month, version in found.items() if month is not None}

    def _held(self, contract: TripContract, month: Month) -> Any:
        """The month's object as it is described now."""
        blob = self._look(self._name(contract, month))
        if blob is None:
            self._see_bucket()
            raise not_held(contract, month, self._uri(contract, month))
        return blob

    def _look(self, name: str) -> Any | None:
        """What the bucket says of an object; None if it has none. The first thing asked, so a wrong host shows here."""
        return self._bucket.get_blob(name, timeout=(_CONNECT, _REQUEST), retry=self._patient.with_predicate(_may_pass))

    def _see_bucket(self) -> None:
        """Nothing, if there is a bucket: an object that is missing and a bucket that is look the same from afar."""
        list(self._bucket.list_blobs(max_results=1, timeout=_REQUEST, retry=self._patient))

    def _send(self, blob: Any, stream: BinaryIO, size: int, replaces: int) -> None:
        stream.seek(0)
        # The library's own checksum is off: the object carries ours, and on a mismatch the library deletes whatever
        # is there by then, also what another writer put there.
        blob.upload_from_file(
            stream,
            size=size,
            content_type="application/vnd.apache.parquet",
            if_generation_match=replaces,
            checksum=None,
            timeout=_REQUEST,
            retry=self._patient,
        )

    def _fetch(self, held: Any, path: Path) -> bool:
        """Bring an object here; False if it has been replaced, or is not here as it is there."""
        with work_folder(path.parent, "object") as work:
            copy = work / "copy"
            blob = self._bucket.blob(held.name, generation=held.generation)
            try:
                with copy.open("wb") as stream:
                    # Compared below with what the bucket says of the object, which an answer's headers may not say.
                    blob.download_to_file(stream, checksum=None, timeout=_REQUEST, retry=self._patient)
            except api.NotFound:
                return False
            if not _is_whole(copy, held):
                return False
            publish(copy, path)
        return True

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

    def _name(self, contract: TripContract, month: Month) -> str:
        return f"{self.prefix}/{object_key(contract, month)}".lstrip("/")

    def _uri(self, contract: TripContract, month: Month) -> str:
        return f"gs://{self.bucket}/{self._name(contract, month)}"


def _metadata(file: ParquetFile) -> dict[str, str]:
    """What an object says of itself to whoever lists the bucket."""
    lineage = file.lineage
    return {
        "sha256": file.sha256,
        "rows": str(file.rows),
        "dataset": lineage.dataset,
        "month": lineage.month,
        "source_url": lineage.source_url,
        "source_etag": lineage.source_etag,
        "source_sha256": lineage.source_sha256,
        "contract_version": lineage.contract_version,
    }


def _hashes(stream: BinaryIO) -> tuple[str, _Checksum]:
    """A file's SHA-256 and what Google says of the same bytes."""
    sha256, crc32c, size = hashlib.sha256(), cast(Any, google_crc32c.Checksum()), 0
    stream.seek(0)
    while block := stream.read(_BLOCK):
        sha256.update(block)
        crc32c.update(block)
        size += len(block)
    return sha256.hexdigest(), _Checksum(b64encode(crc32c.digest()).decode(), size)


def _checksum_of(blob: Any) -> _Checksum:
    return _Checksum(blob.crc32c, blob.size)


def _is_whole(path: Path, held: Any) -> bool:
    """Whether a file is there and equal to the object."""
    try:
        with path.open("rb") as stream:
            return _hashes(stream)[1] == _checksum_of(held)
    except FileNotFoundError:
        return False


def _clear_away(kept: Path) -> None:
    """Remove the month's older generations nobody has asked for in a day."""
    for other in kept.parent.glob("*.parquet"):
        with suppress(FileNotFoundError):  # somebody else was faster
            if other != kept and time.time() - other.stat().st_mtime > _DAY:
                other.unlink()


def _is_lost(error: api.GoogleAPICallError | ValueError) -> bool:
    """Whether an upload must start again: Google forgot it, or kept less of a chunk than its library can handle."""
    return isinstance(error, ValueError) or error.code in (404, 410)


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
