"""Is a file that arrived what it should be, and how many rows does it hold?

One pass over the bytes: a gzip stream is read to its end, lines are counted, a Parquet footer is opened.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa
from isal import igzip

from taxi_platform.core.parquet import read_footer
from taxi_platform.core.source.errors import CorruptError
from taxi_platform.core.source.files import Publication

_CHUNK = 1 << 20
_BLANK = (b"", b"\r")


@dataclass(frozen=True)
class Inspection:
    """What one pass over a file found out; see `RawFile` for what the fields mean."""

    rows: int
    encoding: Literal["utf-8", "latin-1"]
    cut_line: str | None = None


def inspect(path: Path, publication: Publication, about: str) -> Inspection:
    """Verify a file that was fetched, and count its rows.

    Args:
        path: The file as it arrived.
        publication: What its source announced.
        about: What it is to people, for the error.

    Raises:
        CorruptError: It is cut, damaged, empty or a web page.
    """
    size = path.stat().st_size
    expected = publication.bytes if publication.bytes is not None else size

    def corrupt(what: str, cause: str) -> CorruptError:
        return CorruptError(
            f"{what} (expected {expected:,} bytes, got {size:,})",
            about=about,
            where=publication.url,
            cause=cause,
            fix="materialize the month again later; if it stays so, the source's copy is broken",
        )

    if size != expected:
        raise corrupt("the file is not complete", "the transfer ended early")
    with path.open("rb") as file:
        head = file.read(256).lstrip()
    if not head:
        raise corrupt("the file is empty", "the source published an empty file")
    if head.startswith(b"<"):
        raise corrupt("a web page came instead of the file", "the source answers with a maintenance or error page")

    try:
        if publication.edition == "parquet":
            return Inspection(rows=read_footer(path).num_rows, encoding="utf-8")
        with open_csv(path) as file:
            counted = _count_lines(file)
    except (EOFError, zlib.error, igzip.BadGzipFile) as error:
        raise corrupt("the gzip file does not read to its end", str(error)) from error
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's trouble; Arrow's own OSErrors have no number
            raise
        raise corrupt("the Parquet file has no readable footer", str(error).splitlines()[0]) from error
    if counted is None:
        raise corrupt("the file has no header", "the source published an empty file")
    return counted


def open_csv(path: Path) -> BinaryIO:
    """The bytes of a CSV, unpacked if its name says that it is packed."""
    name = path.name.removesuffix(".part")
    return cast(BinaryIO, igzip.IGzipFile(path, "rb") if name.endswith(".gz") else path.open("rb"))


def _count_lines(file: BinaryIO) -> Inspection | None:
    """Count the lines of a CSV that are not blank; None if there are none."""
    lines, encoding, last, ends_crlf = 0, "utf-8", b"", False
    for block in _whole_lines(file):
        lines += block.count(b"\n")
        if block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block:
            lines -= sum(line in _BLANK for line in block.split(b"\n")[:-1])
        if encoding == "utf-8" and not block.isascii() and not _is_utf8(block):
            encoding = "latin-1"
        ends_crlf = ends_crlf or block.endswith(b"\r\n")
        last = block
    if last and not last.endswith(b"\n"):
        lines += 1
    else:
        last = b""
    if lines == 0:
        return None
    is_cut = ends_crlf and last and not last.endswith(b"\r")  # with its CR the line is whole
    return Inspection(
        rows=lines - 1,  # one of the lines is the header
        encoding=encoding,
        cut_line=last.decode(encoding) if is_cut and lines > 1 else None,
    )


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Blocks that end at a line's end; the last one does not if the file does not, and is one line then."""
    rest = b""
    while chunk := file.read(_CHUNK):
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        if end:
            yield block[:end]
        rest = block[end:]
    if rest not in _BLANK:
        yield rest


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
