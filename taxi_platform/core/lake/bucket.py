"""A bucket as a lake, whoever keeps it: one loop that puts a month, and one that brings it here.

A kind of bucket is a module of its own, which knows its service's client and nothing of months.
"""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.files import publish, work_folder
from taxi_platform.core.lake import changed_meanwhile, month_of_key, not_as_cleaned, not_held, object_key
from taxi_platform.core.lake.metadata import metadata_of
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile

_BLOCK = 1 << 20
#: How often a month is tried again because other writers replaced it meanwhile, or because it did not arrive whole.
_ATTEMPTS = 20
_DAY = 24 * 60 * 60


class OvertakenError(Exception):
    """Somebody else replaced or removed the object since it was looked at: look again."""


@dataclass(frozen=True)
class Checksum:
    """What the service and we both know of an object's bytes.

    Attributes:
        value: As the service writes it; empty where it knows none, of an object that somebody else put there.
        size: In bytes.
    """

    value: str
    size: int


@dataclass(frozen=True)
class Held:
    """An object as its service describes it.

    Attributes:
        version: Changes with every put; may be part of a file's name.
        checksum: Of its bytes.
        metadata: What it says of itself.
    """

    version: str
    checksum: Checksum
    metadata: Mapping[str, str]


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes into it."""
        ...

    def value(self) -> str:
        """The checksum of all bytes so far, as the service writes it."""
        ...


@dataclass(frozen=True)
class BucketLake(ABC):
    """Objects appear when their upload is finished, so readers see the old month or the new one.

    An upload replaces the very version of the object it has looked at, or nothing: it can be sent again as often as
    the line breaks, and two writers never overwrite each other unseen. The service gets the checksum before the bytes
    and refuses bytes that differ.

    Attributes:
        bucket: Name of the bucket.
        prefix: Where in the bucket the lake is; empty for all of it.
        cache: A folder for objects brought here to be read.
    """

    bucket: str
    prefix: str
    cache: Path

    #: What stands before `://` in the URL of such a lake.
    scheme: ClassVar[str]
    #: Who keeps the bucket, as people call them.
    service: ClassVar[str]
    #: What the client raises when an upload is refused or lost.
    failures: ClassVar[tuple[type[Exception], ...]]

    def put(self, contract: TripContract, month: Month, file: ParquetFile) -> str:
        """See `Lake.put`."""
        changed = partial(not_as_cleaned, contract, month)
        return self._put(object_key(contract, month), file.path, file.sha256, partial(metadata_of, file), changed)

    def get(self, contract: TripContract, month: Month) -> ParquetFile:
        """See `Lake.get`."""
        found = self._get(object_key(contract, month))
        if found is None:
            raise not_held(contract, month, self._uri(contract, month))
        path, version = found
        return ParquetFile(path, self._uri(contract, month), version)

    def put_object(self, name: str, path: Path, sha256: str) -> str:
        """See `Lake.put_object`."""
        return self._put(name, path, sha256, lambda: {"sha256": sha256}, partial(changed_meanwhile, path))

    def get_object(self, name: str) -> Path | None:
        """See `Lake.get_object`."""
        found = self._get(name)
        return None if found is None else found[0]

    def list_objects(self, below: str) -> dict[str, str]:
        """See `Lake.list_objects`."""
        root = f"{self.prefix}/".lstrip("/")
        with self._explained("the lake could not be read", f"{self.scheme}://{self.bucket}/{root}{below}"):
            return {name.removeprefix(root): version for name, version in self._list(f"{root}{below}")}

    def remove_object(self, name: str) -> None:
        """See `Lake.remove_object`."""
        full = f"{self.prefix}/{name}".lstrip("/")
        with self._explained("the object could not be removed", self._uri_of(name)):
            held = self._look(full)
            if held is not None:
                with suppress(OvertakenError):  # somebody else has put another one there, or was faster
                    self._remove(full, held)

    def _put(
        self,
        key: str,
        path: Path,
        expected: str,
        described: Callable[[], Mapping[str, str]],
        changed: Callable[[str], LakeError],
    ) -> str:
        """Store a file's bytes, described, if they are those that are expected; `changed` tells of others."""
        name, uri = f"{self.prefix}/{key}".lstrip("/"), self._uri_of(key)
        with self._explained("the month could not be stored", uri), path.open("rb") as stream:
            sha256, checksum = self._hashes(stream)
            if sha256 != expected:
                raise changed(uri)
            for _ in range(_ATTEMPTS):
                held = self._look(name)
                if held and held.checksum == checksum and held.metadata.get("sha256") == sha256:
                    return uri
                stream.seek(0)
                try:
                    sent = self._send(name, stream, checksum, described(), held)
                except OvertakenError:
                    continue
                except self.failures as error:
                    if self._hashes(stream) != (sha256, checksum):
                        raise changed(uri) from None
                    if not self._is_lost(error):
                        raise
                    self._see_bucket()
                    continue
                if sent.checksum != checksum:
                    # Whoever stands between us and the service took the checksum off: it is nobody's month.
                    with suppress(OvertakenError):
                        self._remove(name, sent)
                    raise LakeError(
                        "what was stored is not what was sent; it was removed, and the lake has no such month now",
                        where=uri,
                        cause=f"something between here and {self.service} changes uploads and takes their "
                        "checksums off",
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

    def _get(self, key: str) -> tuple[Path, str] | None:
        """An object brought here, and its version; None if the bucket holds none of this name."""
        name, uri = f"{self.prefix}/{key}".lstrip("/"), self._uri_of(key)
        with self._explained("the month could not be fetched", uri):
            for _ in range(_ATTEMPTS):
                held = self._look(name)
                if held is None:
                    self._see_bucket()
                    return None
                # Of its own for each version: nothing is ever replaced under the eyes of somebody who reads it.
                path = self.cache / self.bucket / name / f"{held.version}.parquet"
                with suppress(FileNotFoundError):
                    os.utime(path)  # asked for today, so nobody clears it away
                if self._is_whole(path, held) or self._fetch(name, held, path):
                    _clear_away(path)
                    return path, held.version
        raise LakeError(
            "the month could not be fetched",
            where=uri,
            cause=f"it was replaced, or did not arrive as it is there, {_ATTEMPTS} times in a row",
            fix=f"see who else writes to this lake and what stands between here and {self.service}, then try again",
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
        with self._explained("the lake could not be read", f"{self.scheme}://{self.bucket}/{root}{contract.table}"):
            there = self._list(f"{root}{contract.table}/")
            found = {month_of_key(contract, name.removeprefix(root)): version for name, version in there}
        return {month: version for month, version in found.items() if month is not None}

    @abstractmethod
    def _new_digest(self) -> Digest:
        """The checksum the service knows of whole objects, of no bytes yet."""

    @abstractmethod
    def _look(self, name: str) -> Held | None:
        """What the bucket says of an object; None if it has none. The first thing asked, so a wrong host shows here."""

    @abstractmethod
    def _see_bucket(self) -> None:
        """Nothing, if there is a bucket: an object that is missing and a bucket that is look the same from afar."""

    @abstractmethod
    def _send(
        self, name: str, stream: BinaryIO, checksum: Checksum, metadata: Mapping[str, str], replaces: Held | None
    ) -> Held:
        """Put an object in the place of the one that was looked at, or of none; gives what is there by then.

        Raises:
            OvertakenError: There is another one now.
        """

    @abstractmethod
    def _is_lost(self, error: Exception) -> bool:
        """Whether an upload that failed must start again."""

    @abstractmethod
    def _remove(self, name: str, held: Held) -> None:
        """Remove an object, if it is still the one that was sent.

        Raises:
            OvertakenError: It is not.
        """

    @abstractmethod
    def _receive(self, name: str, held: Held, stream: BinaryIO) -> None:
        """Write this version of an object to a stream, checked or not: it is compared afterwards.

        Raises:
            OvertakenError: The bucket does not hold this version any more.
        """

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[tuple[str, str]]:
        """Names and versions of the objects below a prefix."""

    @abstractmethod
    def _explained(self, what: str, where: str) -> AbstractContextManager[None]:
        """Turn what the client raises in the block into an error a person can act on."""

    def _held(self, contract: TripContract, month: Month) -> Held:
        """The month's object as it is described now."""
        held = self._look(self._name(contract, month))
        if held is None:
            self._see_bucket()
            raise not_held(contract, month, self._uri(contract, month))
        return held

    def _fetch(self, name: str, held: Held, path: Path) -> bool:
        """Bring an object here; False if it has been replaced, or is not here as it is there."""
        with work_folder(path.parent, "object") as work:
            copy = work / "copy"
            try:
                with copy.open("wb") as stream:
                    self._receive(name, held, stream)
            except OvertakenError:
                return False
            if not self._is_whole(copy, held):
                return False
            publish(copy, path)
        return True

    def _hashes(self, stream: BinaryIO) -> tuple[str, Checksum]:
        """A file's SHA-256 and what the service says of the same bytes."""
        sha256, digest, size = hashlib.sha256(), self._new_digest(), 0
        stream.seek(0)
        while block := stream.read(_BLOCK):
            sha256.update(block)
            digest.update(block)
            size += len(block)
        return sha256.hexdigest(), Checksum(digest.value(), size)

    def _is_whole(self, path: Path, held: Held) -> bool:
        """Whether a file is there and equal to the object."""
        try:
            if not held.checksum.value:
                return path.stat().st_size == held.checksum.size
            with path.open("rb") as stream:
                return self._hashes(stream)[1] == held.checksum
        except FileNotFoundError:
            return False

    def _name(self, contract: TripContract, month: Month) -> str:
        return f"{self.prefix}/{object_key(contract, month)}".lstrip("/")

    def _uri(self, contract: TripContract, month: Month) -> str:
        return self._uri_of(object_key(contract, month))

    def _uri_of(self, key: str) -> str:
        name = f"{self.prefix}/{key}".lstrip("/")
        return f"{self.scheme}://{self.bucket}/{name}"


def _clear_away(kept: Path) -> None:
    """Remove the month's older versions nobody has asked for in a day."""
    for other in kept.parent.glob("*.parquet"):
        with suppress(FileNotFoundError):  # somebody else was faster
            if other != kept and time.time() - other.stat().st_mtime > _DAY:
                other.unlink()
