"""Is a file that arrived what it should be, and how many rows does it hold?

One pass over the bytes: a gzip stream is read to its end, lines are counted, a Parquet footer is opened.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import pyarrow as pa
from isal import igzip, isal_zlib

from taxi_platform.core.parquet import read_footer
from taxi_platform.core.source.errors import CorruptError
from taxi_platform.core.source.files import Publication

_CHUNK = 1 << 20
#: What reading a gzip file that is cut or damaged raises.
DAMAGED = (EOFError, cast(type[Exception], isal_zlib.error), igzip.BadGzipFile)

_BLANK = (b"", b"\r")
_LF, _CR = b"\n\r"


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
    except DAMAGED as error:
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
    lines, encoding, ends_crlf, rest = 0, _Encoding(), False, b""
    while chunk := file.read(_CHUNK):
        encoding.see(chunk)
        text = np.frombuffer(chunk, np.uint8)
        ends = np.flatnonzero(text == _LF)
        if not ends.size:
            rest += chunk
            continue
        lengths = np.diff(ends, prepend=-1) - 1
        lengths[0] += len(rest)
        returned = text[ends - 1] == _CR
        if ends[0] == 0:  # what is before the chunk's first byte is not in the chunk
            returned[0] = rest.endswith(b"\r")
        blank = (lengths == 0) | ((lengths == 1) & returned)
        lines += ends.size - int(np.count_nonzero(blank))
        ends_crlf = ends_crlf or bool(returned[-1])
        rest = chunk[ends[-1] + 1 :]
    if rest not in _BLANK:
        lines += 1
    if lines == 0:
        return None
    is_cut = ends_crlf and rest not in _BLANK and not rest.endswith(b"\r")  # with its CR the line is whole
    name = encoding.name()
    return Inspection(
        rows=lines - 1,  # one of the lines is the header
        encoding=name,
        cut_line=rest.decode(name) if is_cut and lines > 1 else None,
    )


class _Encoding:
    """Whether bytes that come in pieces are UTF-8."""

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def see(self, piece: bytes, *, is_last: bool = False) -> None:
        """Look at the next piece; a character may be cut between two."""
        if self._decoder is None or (piece.isascii() and not self._decoder.getstate()[0]):
            return
        try:
            self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            self._decoder = None

    def name(self) -> Literal["utf-8", "latin-1"]:
        """What they are, now that all were seen."""
        self.see(b"", is_last=True)
        return "utf-8" if self._decoder is not None else "latin-1"
