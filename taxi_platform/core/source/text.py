"""A CSV as lines, whatever it is packed in, written in and ended by.

There is one grammar of lines. A line ends with LF, CR LF or CR; but a CR inside a line that has as many commas as the
header is a character of a value. A blank line is none, and the byte order mark is no part of the first name. What is
not UTF-8 is latin-1, line by line.

Most files are *plain*: the bytes can be read as they are. Of the others this module makes the plain text, in blocks, in
time linear in the file and in bounded memory.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxi_platform.core.source.contents import Contents, Encoding, unpacking

#: Bytes a line may have; TLC's longest have 300.
LONGEST_LINE = 4 << 20
#: Columns a file may have; TLC's widest have 25. Cleaning holds buffers for each: so many fit into a run's memory.
MOST_FIELDS = 1_500

_CHUNK = 1 << 20
#: Bytes read at a time where only the first lines are wanted.
_PEEKED = 1 << 15
_BLANK_LINES = re.compile(rb"\n{2,}")
_FIRST_LINE = re.compile(rb"[\r\n]*([^\r\n]+)(\r\n|\r|\n)")
_LF, _CR = b"\n\r"


class UnreadableTextError(ValueError):
    """The text has a line or a header longer than any table's, or is not written as its beginning says."""


@dataclass(frozen=True)
class CsvText:
    """How a CSV is written.

    Attributes:
        is_packed: Whether it is packed by gzip.
        is_plain: Whether its bytes, unpacked, are UTF-8 and have one kind of line end, LF or CR LF, and no blank lines.
        has_quotes: Whether there is a quote anywhere.
        has_odd_numbers: Whether there is a `_` or `+` below the header: DuckDB takes `1_000` and `+-1` for numbers.
        bytes: How large it is, unpacked.
    """

    is_packed: bool = False
    is_plain: bool = False
    has_quotes: bool = True
    has_odd_numbers: bool = True
    bytes: int = 0


@dataclass(frozen=True)
class Examined:
    """What a look at a CSV found out; `RawFile` says what the other fields mean.

    Attributes:
        lines: Lines that are not blank, the header among them.
        header: The first of them.
    """

    text: CsvText
    lines: int
    header: str
    encoding: Encoding
    cut_line: str | None


def examine(path: Path, contents: Contents) -> Examined:
    """Look at all of a CSV: once if it is plain, else a second time to count the lines of its plain text.

    Raises:
        UnreadableTextError: It has a line or a header longer than any table's, or does not decode.
        EOFError, igzip.BadGzipFile, isal_zlib.error: It is packed, and cut or damaged.
    """
    look = _Look(is_plain=contents.encoding == "utf-8")
    for chunk in _chunks(path, contents):
        look.see(chunk)
    look.end()
    text = CsvText(contents.is_packed, look.is_plain, look.has_quotes, look.has_odd_numbers, look.bytes)
    plain = _PlainText()
    blocks = plain.blocks(_chunks(path, contents, at_once=_PEEKED if look.is_plain else None))
    first = next(blocks, b"")
    header = first.partition(b"\n")[0].decode()
    if (names := header.count(",") + 1) > MOST_FIELDS:
        raise UnreadableTextError(f"its header has {names:,} names, and more than {MOST_FIELDS:,} are not read")
    if look.is_plain:
        return Examined(text, look.lines, header, "utf-8", look.cut_line)
    lines = first.count(b"\n") + sum(block.count(b"\n") for block in blocks)
    encoding = contents.encoding if plain.is_as_it_says else "latin-1"
    return Examined(text, lines, header, encoding, plain.cut_line if lines > 1 else None)


def plain_blocks(path: Path, text: CsvText, encoding: Encoding, *, peeking: bool = False) -> Iterator[bytes]:
    """The plain text of a CSV in blocks of whole lines: UTF-8, each line ended by LF, none of them blank.

    Args:
        path: The file.
        text: How it is written.
        encoding: In which encoding.
        peeking: Whether only the first lines are wanted.
    """
    contents = Contents("csv", text.is_packed, "utf-8" if encoding == "latin-1" else encoding)
    yield from _PlainText().blocks(_chunks(path, contents, at_once=_PEEKED if peeking else None))


def unpacked_chunks(path: Path, text: CsvText) -> Iterator[bytes]:
    """The bytes of a CSV, unpacked."""
    yield from _chunks(path, Contents("csv", text.is_packed))


def _chunks(path: Path, contents: Contents, at_once: int | None = None) -> Iterator[bytes]:
    """The bytes of a CSV, unpacked, without a byte order mark, and as UTF-8 where they are UTF-16 or UTF-32.

    No piece ends between CR and LF.
    """
    wide = None if contents.encoding == "utf-8" else codecs.getincrementaldecoder(contents.encoding)()
    held, is_first = b"", True
    with unpacking(path) if contents.is_packed else path.open("rb") as file:
        while piece := file.read(at_once or _CHUNK):
            if wide is not None:
                try:
                    piece = wide.decode(piece).encode()
                except UnicodeError as error:
                    raise UnreadableTextError(f"the text is not {contents.encoding} throughout: {error}") from error
            chunk = held + piece
            if is_first and len(chunk) < len(codecs.BOM_UTF8):
                held = chunk
                continue
            if is_first:
                chunk, is_first = _without_marks(chunk), False
            held = b"\r" if chunk.endswith(b"\r") else b""
            if body := chunk[: len(chunk) - len(held)]:
                yield body
    if wide is not None and wide.getstate()[0]:
        raise UnreadableTextError(f"the text is not {contents.encoding} throughout: it ends within a letter")
    if held:
        yield held


class _Look:
    """One look at bytes that come in pieces: are they plain, and how many lines do they have if they are?"""

    def __init__(self, *, is_plain: bool) -> None:
        self.is_plain, self.has_quotes, self.has_odd_numbers = is_plain, False, False
        self.lines = self.bytes = 0
        self.end_of_lines: bytes | None = None
        #: The last line, as long as its end has not come.
        self.unended = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_below_header = False

    def see(self, chunk: bytes) -> None:
        """Look at the next piece."""
        self.bytes += len(chunk)
        self.has_quotes = self.has_quotes or b'"' in chunk
        if not self.has_odd_numbers:
            header = None if self._is_below_header else _FIRST_LINE.match(chunk)
            below, self._is_below_header = header.end() if header else 0, True
            self.has_odd_numbers = chunk.find(b"_", below) >= 0 or chunk.find(b"+", below) >= 0
        if self.is_plain:
            self._count(chunk)

    def end(self) -> None:
        """Take note that there are no more."""
        self.is_plain = self.is_plain and not self._decoder.getstate()[0]
        self.lines += bool(self.unended)

    @property
    def cut_line(self) -> str | None:
        """The last line, if it has no end and the others end with CR LF; a header alone is none."""
        return self.unended.decode() if self.unended and self.end_of_lines == b"\r\n" and self.lines > 1 else None

    def _count(self, chunk: bytes) -> None:
        text = np.frombuffer(chunk, np.uint8)
        ends = np.flatnonzero(text == _LF)
        returns = chunk.count(b"\r") if b"\r" in chunk else 0
        if not ends.size:
            self.unended += chunk
            self.is_plain = not returns and self._is_utf8(chunk)
            _bound_line(len(self.unended))
            return
        pairs = int(np.count_nonzero(text[ends[ends > 0] - 1] == _CR)) if returns else 0
        if self.end_of_lines is None:
            self.end_of_lines = b"\r\n" if pairs else b"\n"
        has_pairs = self.end_of_lines == b"\r\n"
        lengths = np.diff(ends, prepend=-1) - 1
        lengths[0] += len(self.unended)
        _bound_line(int(lengths.max()))
        is_blank_free = int(lengths.min()) > has_pairs
        self.is_plain = returns == pairs == (ends.size if has_pairs else 0) and is_blank_free and self._is_utf8(chunk)
        self.unended = chunk[ends[-1] + 1 :]
        self.lines += ends.size

    def _is_utf8(self, chunk: bytes) -> bool:
        if chunk.isascii() and not self._decoder.getstate()[0]:
            return True
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError:
            return False
        return True


class _PlainText:
    """Makes the plain text of a CSV.

    Attributes:
        is_as_it_says: Whether all of it was of the encoding it should be.
        cut_line: The last line, if it has no end and most rows end with CR LF.
    """

    def __init__(self) -> None:
        self.is_as_it_says = True
        self.cut_line: str | None = None
        #: Commas of the header, once it is known.
        self._commas: int | None = None
        #: Whether what has begun, and is not ended by LF yet, is several lines that CR ends.
        self._is_many = False
        #: Rows that end with CR LF, less those that end with LF.
        self._pairs_ahead = 0

    def blocks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Whole lines, each ended by LF, none of them blank."""
        begun = b""
        for chunk in chunks:
            begun += chunk
            self._learn_header(begun)
            ended, lf, begun = begun.rpartition(b"\n")
            block = self._lines_of(ended + lf) if lf else b""
            if b"\r" in begun and self._are_many(begun):
                lines, _, begun = begun.rpartition(b"\r")
                block += lines.replace(b"\r", b"\n") + b"\n"
                self._is_many = True
            if block := self._plain(block):
                yield block
            _bound_line(len(begun))
        if not begun:
            return
        self._learn_header(begun + b"\n")
        is_cut = self._pairs_ahead > 0 and not self._is_many and not begun.endswith(b"\r")
        if block := self._plain(self._lines_of(begun + b"\n")):
            if is_cut:
                self.cut_line = block[:-1].rpartition(b"\n")[2].decode()
            yield block

    def _learn_header(self, text: bytes) -> None:
        """Take note of the first line that is not blank, once it is whole."""
        if self._commas is None and (found := _FIRST_LINE.match(text)):
            self._commas = found[1].count(b",")
            self._pairs_ahead -= {b"\r\n": 1, b"\n": -1}.get(found[2], 0)  # its end is none of a row's

    def _are_many(self, begun: bytes) -> bool:
        """Whether a line with CRs in it is surely no line of its own: it has more commas than the header."""
        return self._is_many or begun.count(b",") > (self._commas or 0)

    def _lines_of(self, text: bytes) -> bytes:
        """Lines that LF ends, each ended by LF alone, and by LF where it was CR."""
        pairs = text.count(b"\r\n")
        self._pairs_ahead += pairs - text.count(b"\n\r\n")
        self._pairs_ahead -= text.count(b"\n") - pairs - text.count(b"\n\n")
        text = text.replace(b"\r\n", b"\n")
        if b"\r" in text:
            first, *others = text.split(b"\n")
            first = first.replace(b"\r", b"\n") if self._is_many else self._line(first)
            text = b"\n".join([first, *map(self._line, others)])
        self._is_many = False
        return text

    def _line(self, line: bytes) -> bytes:
        """A line; its CRs are characters of it if it has as many commas as the header, else they end lines."""
        line = line.rstrip(b"\r")
        return line if b"\r" not in line or line.count(b",") == self._commas else line.replace(b"\r", b"\n")

    def _plain(self, block: bytes) -> bytes:
        """A block without blank lines, in UTF-8."""
        block = _BLANK_LINES.sub(b"\n", block).lstrip(b"\n")
        if len(block) > LONGEST_LINE:
            _bound_line(max(map(len, block.split(b"\n"))))
        try:
            block.decode()
        except UnicodeDecodeError:
            self.is_as_it_says = False
            return b"\n".join(map(_as_utf8, block.split(b"\n")))
        return block


def _without_marks(text: bytes) -> bytes:
    """A text without the byte order marks before it; some programs write one before the one that is there."""
    while text.startswith(codecs.BOM_UTF8):
        text = text.removeprefix(codecs.BOM_UTF8)
    return text


def _as_utf8(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1").encode()
    return line


def _bound_line(length: int) -> None:
    if length > LONGEST_LINE:
        raise UnreadableTextError(
            f"a line has more than {LONGEST_LINE:,} bytes ({length:,} at least), and TLC's longest have 300"
        )
