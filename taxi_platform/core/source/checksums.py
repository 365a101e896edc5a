"""Checksums that servers announce of a whole file, and whether the bytes that arrived have them.

Who announces what (on an answer with the whole file, unless it says otherwise):

- GitHub's release assets, the CSV mirror's among them, lie in Azure's blob storage behind Fastly and come with
  `x-ms-blob-content-md5` (seen in the log of https://github.com/gm3dmo/the-power/issues/393).
- Azure's blob storage: `Content-MD5`; asked for a range, that is the range's, and the whole blob's MD5 stands in
  `x-ms-blob-content-md5` (https://learn.microsoft.com/rest/api/storageservices/get-blob).
- Google Cloud Storage: `x-goog-hash` with CRC-32C and, unless the object was composed, MD5; of the object as it is
  stored, which is not what arrives where Google unpacks it on the way
  (https://cloud.google.com/storage/docs/hashes-etags, …/transcoding).
- S3: `x-amz-checksum-…`, only when asked with `x-amz-checksum-mode: ENABLED`, so CloudFront, where TLC's own files are,
  announces none (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). It is not asked for here: a
  presigned URL is refused with an `x-amz-` header that was not signed. What a server sends unasked is used.
- Servers that follow RFC 9530 or RFC 3230: `Repr-Digest`, `Digest`.

An ETag is not among them: it is an MD5 in some of these places, for some objects, and nobody says for which.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from taxi_platform.core.os_errors import naming
from taxi_platform.core.source.errors import CorruptError
from taxi_platform.core.source.files import Publication

if TYPE_CHECKING:
    from requests import Response  # only who downloads waits for requests to be imported

_CHUNK = 1 << 20
#: Bytes of each checksum, the one that says most first. All of them are read faster than a file arrives.
_LENGTHS = {"sha-256": 32, "md5": 16, "crc32c": 4, "crc32": 4}
_NAMES = {"sha-256": "SHA-256", "md5": "MD5", "crc32c": "CRC-32C", "crc32": "CRC-32"}
_OF_AMAZON = {"x-amz-checksum-sha256": "sha-256", "x-amz-checksum-crc32c": "crc32c", "x-amz-checksum-crc32": "crc32"}
_NAMED = re.compile(r"([A-Za-z0-9-]+)=:?([A-Za-z0-9+/]+=*)")


def announced_checksum(response: Response) -> str | None:
    """The checksum a server announces of the whole file, as `<kind>:<hex>`; None where it announces none.

    What is garbled, or made of the checksums of parts (S3's `…-3`), is none.
    """
    found: dict[str, str] = {}
    for kind, text in _announced(response.headers, response.status_code, response.request.method or ""):
        if kind in _LENGTHS and (digest := _decoded(text, _LENGTHS[kind])):
            found.setdefault(kind, f"{kind}:{digest.hex()}")
    return next((found[kind] for kind in _LENGTHS if kind in found), None)


def verify_checksum(path: Path, publication: Publication, about: str) -> None:
    """Compare the bytes that arrived with what was announced of them, if anything was.

    Args:
        path: The file as it arrived, all of it: also the part that came with an earlier request.
        publication: What its source announced.
        about: What it is to people, for the error.

    Raises:
        CorruptError: They are other bytes.
    """
    kind, _, expected = (publication.checksum or "").partition(":")
    if kind not in _LENGTHS:  # none was announced, or an earlier version of the platform knew another kind
        return
    digest = _MAKERS[kind]()
    with path.open("rb") as file, naming(path):
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.digest().hex() != expected:
        raise CorruptError(
            f"what arrived is not what the server announced ({_NAMES[kind]}: expected {expected}, "
            f"got {digest.digest().hex()})",
            about=about,
            where=publication.url,
            cause="bytes were changed on their way, or the server's copy is damaged",
            fix="run the month again; if it stays so, the source's copy, or a proxy on the way to it, is broken",
        )


def _announced(headers: Mapping[str, str], status: int, method: str) -> Iterator[tuple[str, str]]:
    """What the headers say of the whole file: kinds, as `_LENGTHS` calls them where it knows them, and base64 texts."""
    if status not in (200, 206) or headers.get("warning", "").startswith("214"):  # 214: transformed on the way
        return
    whole = status == 200
    for name in ("repr-digest", "digest", "content-digest"):
        # The digest of the content is that of the whole file only where the content is the whole file.
        if name != "content-digest" or (whole and method == "GET"):
            yield from ((kind.lower(), text) for kind, text in _NAMED.findall(headers.get(name, "")))
    if whole and headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() == "FULL_OBJECT":
        yield from ((kind, headers.get(name, "")) for name, kind in _OF_AMAZON.items())
    yield "md5", headers.get("x-ms-blob-content-md5", "")
    if whole:
        yield "md5", headers.get("content-md5", "")
    stored = headers.get("x-goog-stored-content-encoding", "identity")
    if stored == headers.get("content-encoding", "identity"):
        yield from _NAMED.findall(headers.get("x-goog-hash", ""))


def _decoded(text: str, length: int) -> bytes | None:
    try:
        digest = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == length else None


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """zlib's CRC-32 in the manner of hashlib; big-endian, as servers announce it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _crc32c() -> _Digest:
    import google_crc32c  # comes with google-cloud-storage; only who meets such a checksum waits for it

    return google_crc32c.Checksum()


_MAKERS: dict[str, Callable[[], _Digest]] = {
    "sha-256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32c": _crc32c,
    "crc32": _Crc32,
}
