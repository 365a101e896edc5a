"""What is known of a published file before and after it was fetched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.files import sha256_of, write_text
from taxi_platform.core.source.contents import Edition, Encoding
from taxi_platform.core.source.text import CsvText

#: The name of what is known of a raw file, in the folder it is in.
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Wanted:
    """A file to look for.

    Attributes:
        about: What it is to people, such as `green 2020-11`.
        dataset: Dataset, or the reference table's name.
        month: Month key, empty for a reference table.
        names: The file names it may have, the preferred one first.
    """

    about: str
    dataset: str
    month: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Publication:
    """A file as its source announces it.

    Attributes:
        url: Where it is, without secrets.
        bytes: Its size, where the source says.
        etag: The source's own name for this version of it, where it has one.
        last_modified: When it was last changed, in the source's own words (HTTP date, or nanoseconds for a folder).
        checksum: What the source says its bytes add up to, as `<kind>:<hex>` (see `checksums.py`), where it says so.
    """

    url: str
    bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    checksum: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1].partition("?")[0]

    @property
    def edition(self) -> Edition:
        """Which of TLC's two editions of a month its name says it is."""
        return "parquet" if self.name.endswith(".parquet") else "csv"

    @property
    def version(self) -> str:
        """A name for what is announced, equal for equal bytes as far as the source tells."""
        return self.etag or f"{self.bytes} bytes of {self.last_modified}"

    def is_same_version_as(self, other: Publication) -> bool:
        """Whether both announce the same bytes: the same ETag, or else the same size and time of change."""
        if self.etag and other.etag:
            return self.etag == other.etag
        return None not in (self.bytes, self.last_modified) and (self.bytes, self.last_modified) == (
            other.bytes,
            other.last_modified,
        )


@dataclass(frozen=True)
class RawFile:
    """A published file on the local disk, verified, with its provenance.

    Attributes:
        path: Where it is.
        publication: What its source announced.
        sha256: Hash of its bytes, in hex.
        bytes: Its size.
        rows: Data rows: non-blank lines after a CSV's header, or those of a Parquet's pages. Counted while the file
            was verified, by other means than it is later read with, so that nothing can be lost unnoticed.
        encoding: How a CSV is written; `latin-1` where it is UTF-8 but for some lines, which are read as latin-1.
        fetched_at: When, ISO 8601 in UTC.
        cut_line: A CSV's last line, if it has no end and the lines before it end with CR LF: the file was cut there,
            and what looks like the line's last value may be half of one.
        contents: What the bytes are, whatever the name says; None where an older version of the platform fetched them.
        text: How a CSV is written; None likewise, and for Parquet.
    """

    path: Path
    publication: Publication
    sha256: str
    bytes: int
    rows: int
    encoding: Encoding
    fetched_at: str
    cut_line: str | None = None
    contents: Edition | None = None
    text: CsvText | None = None

    @property
    def edition(self) -> Edition:
        """Which of TLC's two editions it is; they do not always hold the same rows."""
        return self.contents or self.publication.edition

    @classmethod
    def in_folder(cls, folder: Path) -> Self | None:
        """The raw file a month's folder has a record of; None where there is none, or no telling what it is.

        A file of another size is none. Whether it is the very file that was recorded, `is_whole` tells.
        """
        try:
            raw = cls.from_json((folder / PROVENANCE).read_text(encoding="utf-8"), folder)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return raw if raw.path.exists() and raw.path.stat().st_size == raw.bytes else None

    @classmethod
    def expected_in(cls, folder: Path, about: str, fix: str) -> Self:
        """The raw file kept in a month's folder, which is the one its record is of.

        Raises:
            TaxiPlatformError: There is none, or another than was recorded.
        """
        raw = cls.in_folder(folder)
        if raw is None:
            raise TaxiPlatformError("the raw file is not here", about=about, where=str(folder), fix=fix)
        if not raw.is_whole:
            raise TaxiPlatformError(
                "the raw file is another than its record is of",
                about=about,
                where=str(raw.path),
                cause="a run was killed between the file and its record, or somebody changed the file",
                fix=fix,
            )
        return raw

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are those that were recorded: of a file as large, a record cannot vouch for more."""
        try:
            return sha256_of(self.path) == self.sha256
        except FileNotFoundError:
            return False

    def record(self) -> None:
        """Write the provenance beside the file: from now on this is the month's raw file."""
        write_text(self.path.parent / PROVENANCE, self.to_json())

    def to_json(self) -> str:
        """The provenance, as it is kept beside the file."""
        fields = asdict(self) | {"file": self.path.name}
        del fields["path"]
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Self:
        """Read what `to_json` wrote, of a file that is, or will be, in `folder`.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: It is no provenance.
        """
        fields = json.loads(text)
        publication, csv = Publication(**fields.pop("publication")), fields.pop("text", None)
        name = Path(fields.pop("file")).name
        return cls(
            path=folder / name,
            publication=publication,
            text=CsvText(**csv) if csv is not None else None,
            **fields,
        )
