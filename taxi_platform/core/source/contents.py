"""What a file is, told by its bytes: a name may say otherwise.

A kind of file that cannot be read here is told by its name; to add one, add its first bytes to `_FOREIGN`.
"""

from __future__ import annotations

import codecs
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from isal import igzip, isal_zlib

Edition = Literal["csv", "parquet"]
#: How text may be written. What is not UTF-8 in a text that is otherwise is read as latin-1, line by line.
Encoding = Literal["utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]

#: What reading a gzip file that is cut or damaged raises.
DAMAGED = (EOFError, cast(type[Exception], isal_zlib.error), igzip.BadGzipFile)
#: The byte order mark, as text.
BOM = "\ufeff"

_HEAD = 4096
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
#: Share of control characters from which on so many bytes are no text; noise has a tenth.
_MOSTLY_BINARY, _ENOUGH = 0.08, 256
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1a\x1b")
# The longer mark first: that of UTF-16 is the beginning of that of UTF-32.
_MARKS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FOREIGN = (
    (b"PARE", "a Parquet file whose footer is encrypted"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"BZh", "a file packed by bzip2"),
    (b"\xfd7zXZ\x00", "a file packed by xz"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd"),
    (b"\x04\x22\x4d\x18", "a file packed by LZ4"),
    (b"\x1f\x9d", "a file packed by compress"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC\x08", "an ORC file"),
    (b"ORC\x0a", "an ORC file"),
    (b"ARROW1\x00", "an Arrow IPC (Feather) file"),
    (b"FEA1", "a Feather file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file it stands for"),
)


class ForeignFileError(ValueError):
    """The bytes are of something else than a CSV, a CSV packed by gzip, or a Parquet file.

    Args:
        what: What they are, as in "the file is …".
        fix: What to do about it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


class DamagedParquetError(ValueError):
    """A Parquet file is not what its footer says, or cannot be decoded; the text is the reader's own reason."""


@dataclass(frozen=True)
class Contents:
    """What a file is.

    Attributes:
        edition: Which of TLC's two editions of a month it can be.
        is_packed: Whether it is packed by gzip; only a CSV may be.
        encoding: How its text is written: `utf-8` unless its beginning is of something else.
    """

    edition: Edition
    is_packed: bool = False
    encoding: Encoding = "utf-8"


def identify(path: Path) -> Contents:
    """Look at the first bytes of a file, and at what they unpack to.

    Raises:
        ForeignFileError: It is something that is not read here.
        EOFError, igzip.BadGzipFile, isal_zlib.error: It is packed, and damaged from its beginning.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - len(_PARQUET)))
        tail = file.read()
    if _PARQUET in (head[: len(_PARQUET)], tail):
        return Contents("parquet")
    if not head.startswith(_GZIP):
        return Contents("csv", encoding=_encoding_of(head, path))
    with unpacking(path) as file:
        head = file.read(_HEAD)
    if head.startswith((_PARQUET, _GZIP)):
        inside = "a Parquet file" if head.startswith(_PARQUET) else "another gzip file"
        raise ForeignFileError(f"{inside} packed by gzip", "unpack it once (gunzip), and publish it like that")
    return Contents("csv", is_packed=True, encoding=_encoding_of(head, path))


def unpacking(path: Path) -> BinaryIO:
    """The bytes a gzip file unpacks to."""
    return cast(BinaryIO, igzip.IGzipFile(path, "rb"))


def _encoding_of(head: bytes, path: Path) -> Encoding:
    """How the text that begins so is written.

    Raises:
        ForeignFileError: It is no text of a table.
    """
    kind = next((kind for mark, kind in _FOREIGN if head.startswith(mark)), None)
    if kind is not None:
        raise ForeignFileError(kind + _members(path, kind), _fix(kind))
    if head[257:262] == b"ustar":
        raise ForeignFileError("a tar archive", "unpack it")
    if head[8:12] == b"DUCK":
        raise ForeignFileError("a DuckDB database")
    marked: Encoding | None = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    encoding: Encoding = marked or _unmarked(head)
    text = head.decode("utf-8" if encoding == "utf-8" else encoding, "replace").lstrip(f"{BOM} \t\r\n")
    if text.startswith("<"):
        raise ForeignFileError("a web page", "look at what the source answers in a browser")
    if text.startswith(("{", "[")):
        raise ForeignFileError("a JSON document", "look at what it says: services answer so what went wrong")
    if not head.strip(b"\0") and head:
        raise ForeignFileError("nothing but zeros, as a disk leaves it that failed")
    if (
        encoding == "utf-8"
        and len(head) >= _ENOUGH
        and sum(it in _CONTROLS for it in head) > _MOSTLY_BINARY * len(head)
    ):
        raise ForeignFileError(
            f"neither text nor Parquet, but bytes of no kind known here, which begin {head[:8].hex(' ')}"
        )
    return encoding


def _unmarked(head: bytes) -> Encoding:
    """The encoding of text without a mark: of Latin letters, UTF-16 has a zero beside each."""
    even, odd = head[0::2], head[1::2]
    if len(head) >= 8 and odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(head) >= 8 and even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return "utf-8"


def _members(path: Path, kind: str) -> str:
    if "zip archive" not in kind:
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return ""
    if "xl/workbook.xml" in names:
        return " (an Excel workbook)"
    return f" (it holds {', '.join(names[:3])[:200]!r}{', …' if len(names) > 3 else ''})" if names else ""


def _fix(kind: str) -> str:
    if "workbook" in kind or "database" in kind:
        return "save the month as CSV"
    if "encrypted" in kind:
        return "publish it without encryption"
    return (
        "unpack it, and publish what is in it as .csv, .csv.gz or .parquet"
        if "archive" in kind or "packed" in kind
        else ""
    )
