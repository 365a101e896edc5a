"""What an interrupted download leaves: the bytes that came, and a record of which version of the file they are of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from requests import Response

from taxi_platform.core.files import write_text
from taxi_platform.core.source.arrival import record_of
from taxi_platform.core.source.checksums import announced_checksum
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.headers import can_be_sent, content_range
from taxi_platform.core.urls import mask_url


@dataclass(frozen=True)
class Partial:
    """A part of a file, and of which version it is.

    Attributes:
        publication: What the server announced of the whole file.
        size: Bytes that are here.
    """

    publication: Publication
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """Ask for the rest, if it is still the same version; a server that cannot do that sends all of it."""
        return {"Range": f"bytes={self.size}-", "If-Range": _strong_version(self.publication) or ""}

    def is_served_by(self, response: Response) -> bool:
        """Whether the answer can be used.

        It cannot if it refuses the range, or if it is the rest of another version: some servers ignore If-Range.
        """
        if response.status_code != 206:
            return response.status_code != 416
        headers, ours, span = response.headers, self.publication, content_range(response.headers)
        theirs = announced_checksum(response)
        return (
            span is not None
            and span[0] == self.size
            and (None in (span[2], ours.bytes) or span[2] == ours.bytes)
            and headers.get("etag", ours.etag) == ours.etag
            and headers.get("last-modified", ours.last_modified) == ours.last_modified
            and (None in (theirs, ours.checksum) or not _differ(theirs or "", ours.checksum or ""))
        )

    @classmethod
    def left_at(cls, part: Path, url: str) -> Partial | None:
        """What an earlier attempt, in this process or one that died, left of this URL's file.

        None where there is nothing, or nothing that can be trusted: the record may be cut, from another version of the
        platform, or somebody else's.
        """
        try:
            size = part.stat().st_size
            publication = _publication_of(json.loads(record_of(part).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        is_part = size > 0 and (publication.bytes is None or size <= publication.bytes)
        is_ours = publication.url == mask_url(url) and _strong_version(publication) is not None
        return cls(publication, size) if is_part and is_ours else None

    @staticmethod
    def begin(part: Path, publication: Publication) -> None:
        """Record what is about to be written to `part`.

        The old part goes first: whoever dies between the two lines leaves no old bytes under a new name.
        """
        part.unlink(missing_ok=True)
        write_text(record_of(part), json.dumps(asdict(publication)))

    @staticmethod
    def forget(part: Path) -> None:
        """The part is whole: it is no part any more."""
        record_of(part).unlink(missing_ok=True)


def _strong_version(publication: Publication) -> str | None:
    """What names these very bytes; a weak ETag does not."""
    etag = publication.etag
    return etag if etag and not etag.startswith("W/") else publication.last_modified


def _publication_of(fields: dict[str, object]) -> Publication:
    """A record's publication.

    Raises:
        TypeError: It is another version's record, or garbled.
    """
    publication = Publication(**fields)  # type: ignore[arg-type]  # looked at in the next lines
    size, others = publication.bytes, (publication.etag, publication.last_modified, publication.checksum)
    if size is not None and (type(size) is not int or size < 0):
        raise TypeError
    if not all(it is None or can_be_sent(it) for it in others):
        raise TypeError
    return publication


def _differ(one: str, other: str) -> bool:
    """Whether two checksums of the same kind name different bytes."""
    return one.partition(":")[0] == other.partition(":")[0] and one != other
