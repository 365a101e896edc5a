"""A table that a server gives by pages, brought here as one file.

NYC Open Data (Socrata) gives rows by `$limit` and `$offset`, in an order that stays while nobody changes the table if
one is asked for (https://dev.socrata.com/docs/paging.html). Such an address is known by the order in it.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from taxi_platform.core.files import sha256_of
from taxi_platform.core.source.arrival import discard
from taxi_platform.core.source.errors import CorruptError, UnavailableError
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.retry import Deadline
from taxi_platform.core.urls import mask_url

if TYPE_CHECKING:
    from taxi_platform.core.source.http import HttpOrigin

#: What an address has that is asked by pages.
ORDERED = "$order="
#: Rows of a page: the most that every version of the service gives.
PAGE_ROWS = 50_000
#: Pages of a table, at most: a server that never comes to an end is none to wait for.
_MOST_PAGES = 200


@dataclass(frozen=True)
class PagedOrigin:
    """Probes and downloads URLs; one that names an order page by page.

    Attributes:
        files: What brings a page, or a file that has none.
        page_rows: Rows of a page.
    """

    files: HttpOrigin
    page_rows: int = PAGE_ROWS

    def probe(self, url: str, about: str) -> Publication | None:
        """See `HttpOrigin.probe`."""
        return self.files.probe(url, about)

    def download(
        self,
        url: str,
        part: Path,
        known: Publication | None,
        about: str,
        log: logging.Logger,
        deadline: Deadline | None = None,
    ) -> Publication | None:
        """See `HttpOrigin.download`. Of pages the content is the version, as the service names none of a whole table.

        Raises:
            UnavailableError: Also where the table was changed while its pages were read.
            CorruptError: Also where the pages are not of one table.
        """
        if ORDERED not in url:
            return self.files.download(url, part, known, about, log, deadline)
        deadline = deadline or Deadline(self.files.retry.deadline)
        part.unlink(missing_ok=True)
        page, changed, header, before = part.with_name(f"{part.name}.page"), list[str | None](), b"", b""
        try:
            for number in range(_MOST_PAGES):
                address = f"{url}&$limit={self.page_rows}&$offset={number * self.page_rows}"
                found = self.files.download(address, page, None, about, log, deadline)
                if found is None:
                    return None
                changed.append(found.last_modified)
                if found.last_modified != changed[0]:
                    raise UnavailableError(
                        "the table was changed while its pages were read",
                        about=about,
                        where=mask_url(url),
                        fix="run it again",
                    )
                names, rows = _read(page, about, url)
                if header not in (names, b""):
                    raise _corrupt(about, url, f"page {number + 1} has other columns than the first")
                if rows and rows == before:
                    raise _corrupt(about, url, f"page {number + 1} is the one before it: the server knows no pages")
                with part.open("ab") as whole:
                    whole.write(rows if header else names + rows)
                header, before = names, rows
                count = _count(names + rows, about, url)
                log.info(f"{about}: page {number + 1} with {count:,} rows")
                if count < self.page_rows:
                    break
            else:
                raise _corrupt(about, url, f"it has more than {_MOST_PAGES} pages")
        finally:
            discard(page)
        version = f'"sha256:{sha256_of(part)}"'
        if known is not None and known.etag == version:
            discard(part)
            return known
        return Publication(mask_url(url), part.stat().st_size, version, changed[0])


def _read(page: Path, about: str, url: str) -> tuple[bytes, bytes]:
    """The header of a page and its rows, each ending a line."""
    names, end, rows = page.read_bytes().partition(b"\n")
    if not end and not names.strip():
        raise _corrupt(about, url, "a page is empty, without even a header")
    return names + b"\n", rows if rows.endswith(b"\n") or not rows else rows + b"\n"


def _count(page: bytes, about: str, url: str) -> int:
    from pyarrow import csv  # only who asks for pages waits for it to be imported

    try:
        table = csv.read_csv(io.BytesIO(page), parse_options=csv.ParseOptions(newlines_in_values=True))
    except pa.ArrowInvalid as error:
        raise _corrupt(about, url, f"a page is no CSV: {error}") from error
    return table.num_rows


def _corrupt(about: str, url: str, cause: str) -> CorruptError:
    return CorruptError(
        "the pages do not make a table",
        about=about,
        where=mask_url(url),
        cause=cause,
        fix="open the address in a browser; if the service changed, report it",
    )
