"""Reference tables: small files without months. A file is read whole and right, or refused before anything changes."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from taxi_platform.core.catalog.model import Column, ColumnType, ReferenceContract, normalized
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.text import CsvText, plain_blocks

#: Bytes of the largest file that is read: the zone lookup has 12,000, the report of bases millions; it is in memory.
LARGEST_FILE = 64 * 2**20
# What is left of a byte order mark in the text, read as what it is and as latin-1.
_BYTE_ORDER_MARKS = ("\ufeff", "\u00ef\u00bb\u00bf")
# 56, and 56.0: programs that know no missing integer write them so; and 1,234, which reports for people have.
_WHOLE = re.compile(r"([+-]?(?:\d+|\d{1,3}(?:,\d{3})+))(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"([+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?)%?", re.ASCII)
# 2021-01, as the first of its days.
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
#: What stands in a column of numbers where there is none.
_NOTHING = ("", "-")
_EXPECTED = {
    ColumnType.INT32: "a whole number",
    ColumnType.INT64: "a whole number",
    ColumnType.FLOAT64: "a number",
    ColumnType.TIMESTAMP: "a time like 2021-01-31 23:59:59",
    ColumnType.DATE: "a date like 2021-01-31",
}
#: How many lines or values an error names, and how many letters of what it quotes.
_NAMED, _QUOTED = 5, 60
_SHOWN_NAMES = 20
_AS_UTF_8 = "publish it as UTF-8, or take TLC's own (TAXI_SOURCE=web)"


@dataclass(frozen=True)
class _Line:
    """One row of the file, and the number of the line it ends in."""

    number: int
    fields: Sequence[str]


@dataclass(frozen=True)
class Made:
    """A column that no file has: it is made of others, which need not be among the table's.

    Attributes:
        of: The columns that are read for it.
        by: Makes its values of theirs, or raises ValueError.
    """

    of: tuple[Column, ...]
    by: Callable[..., pa.Array[Any]]


class _UnfitError(Exception):
    """Why a file is not what its contract says, and what to do about it if that is not the contract's fault."""

    def __init__(self, cause: str, fix: str | None = None) -> None:
        super().__init__(cause)
        self.cause, self.fix = cause, fix


def read_reference_file(contract: ReferenceContract, raw: RawFile, made: Mapping[str, Made] | None = None) -> pa.Table:
    """Read a reference table's file: see `read_reference_text`.

    Raises:
        TaxiPlatformError: The file is not what the contract says, or is too large to be it.
    """
    url, text = raw.publication.url, raw.text or CsvText()
    if raw.edition == "parquet":
        raise _refusal(contract, url, _UnfitError("it is a Parquet file, not a CSV"))
    if (size := max(raw.bytes, text.bytes)) > LARGEST_FILE:
        raise _refusal(contract, url, _UnfitError(f"it has {size:,} bytes; {LARGEST_FILE:,} are read at most"))
    plain = b"".join(plain_blocks(raw.path, text, raw.encoding)).decode()
    return read_reference_text(contract, plain, url, made)


def read_reference_text(
    contract: ReferenceContract, text: str, url: str, made: Mapping[str, Made] | None = None
) -> pa.Table:
    """Read a reference table from the text of its CSV.

    Columns are found by name, and others passed over. Every text stays as it is: "N/A" is a borough's name here, not a
    null. A number may have separators of thousands or a percent sign; a dash is none. Lines without any value are no
    rows.

    Args:
        contract: The table's contract.
        text: The whole text, with the line ends it was published with.
        url: Where it is from, for the error.
        made: Column -> how it is made, where the file does not have it.

    Raises:
        TaxiPlatformError: The text does not have the contract's columns, types or number of rows; or a row lacks the
            key, or shares it with another. Names the lines and values.
    """
    try:
        header, lines = _lines(text)

        def values(column: Column) -> pa.Array[Any]:
            if (how := (made or {}).get(column.name)) is not None:
                try:
                    return how.by(*(_values(it, header, lines) for it in how.of))
                except ValueError as error:
                    raise _UnfitError(
                        f"{column.name} cannot be made of its {' and '.join(it.name for it in how.of)}: {error}"
                    ) from error
            return _values(column, header, lines)

        columns = {column.name: values(column) for column in contract.columns}
        _require_rows_told_apart(contract, [columns[key] for key in contract.keys], len(lines))
    except _UnfitError as error:
        raise _refusal(contract, url, error) from error
    return pa.table(columns)


def _lines(text: str) -> tuple[_Line, list[_Line]]:
    """The header, and the rows below it.

    Raises:
        _UnfitError: The text is empty or no CSV, or a row has a value that no name of the header stands above.
    """
    for mark in _BYTE_ORDER_MARKS:
        text = text.removeprefix(mark)
    if "\0" in text:
        raise _UnfitError("it has NUL characters: it is UTF-16 read as something else, or no text at all", _AS_UTF_8)
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        filled = [_Line(rows.line_num, row) for row in rows if any(field.strip() for field in row)]
    except csv.Error as error:
        raise _UnfitError(f"line {rows.line_num} is no CSV: {error}") from error
    if not filled:
        raise _UnfitError("it is empty: it has not even a header")
    header, *lines = filled
    named = max((place + 1 for place, name in enumerate(header.fields) if name.strip()), default=0)
    for line in lines:
        if surplus := [field for field in line.fields[named:] if field.strip()]:
            raise _UnfitError(
                f"line {line.number} has {len(line.fields)} fields, the header {named} names: "
                f"nobody knows what {_quoted(surplus[0])} is",
                "give every column a name, and put texts with a comma in quotes",
            )
    return header, lines


def _values(column: Column, header: _Line, lines: Sequence[_Line]) -> pa.Array[Any]:
    """The values of a column, in its type.

    Raises:
        _UnfitError: It is not in the file; a row has no field for it, or two that differ; a value does not convert.
    """
    texts = list(_texts(column, header, lines))
    is_text = column.type is ColumnType.STRING
    if not is_text:
        texts = [text.strip() for text in texts]
    if column.required:
        nothing = ("",) if is_text else _NOTHING
        empty = [line.number for line, text in zip(lines, texts, strict=True) if text.strip() in nothing]
        if empty:
            raise _UnfitError(f"{column.name} is empty in {_listed('line', empty)}", "fill it in, or remove the lines")
    if is_text:
        return pa.array(texts, pa.string())
    values = [_plain(column.type, text) if text not in _NOTHING else None for text in texts]
    try:
        return pa.array(values, pa.string()).cast(column.type.arrow)
    except pa.ArrowInvalid:
        line, text = next(
            (line, text) for line, text, value in zip(lines, texts, values, strict=True) if not _fits(column, value)
        )
        raise _UnfitError(
            f"{column.name} is {_quoted(text)} in line {line.number}, which is not {_EXPECTED[column.type]}"
        ) from None


def _texts(column: Column, header: _Line, lines: Sequence[_Line]) -> Iterator[str]:
    """What stands in each row under the column's name; under several of its names, it must be the same."""
    places = [place for place, name in enumerate(header.fields) if normalized(name) in column.published_names]
    if not places:
        raise _UnfitError(f"its columns are {_columns(header)}; none of them is {column.name}")
    for line in lines:
        if len(line.fields) <= max(places):
            raise _UnfitError(
                f"line {line.number} has {len(line.fields)} fields, too few for {column.name}; "
                f"its columns are {_columns(header)}"
            )
        text, *others = (line.fields[place] for place in places)
        for other in others:
            if other != text:
                raise _UnfitError(
                    f"{column.name} is in the header {len(places)} times, and in line {line.number} one says "
                    f"{_quoted(text)}, another {_quoted(other)}",
                    f"leave one column with the name {header.fields[places[0]].strip()} in the file",
                )
        yield text


def _plain(kind: ColumnType, text: str) -> str:
    """A value as Arrow casts it; one that is of another form stays as it is, or becomes what Arrow refuses."""
    if kind in (ColumnType.INT32, ColumnType.INT64):
        whole = _WHOLE.fullmatch(text)
        # Arrow takes 0x38 for a number.
        return whole[1].removeprefix("+").replace(",", "") if whole else f"not whole: {text}"
    if kind is ColumnType.FLOAT64 and (number := _NUMBER.fullmatch(text)):
        return number[1].replace(",", "")
    return f"{text}-01" if kind is ColumnType.DATE and _MONTH.fullmatch(text) else text


def _fits(column: Column, value: str | None) -> bool:
    try:
        pa.array([value], pa.string()).cast(column.type.arrow)
    except pa.ArrowInvalid:
        return False
    return True


def _require_rows_told_apart(contract: ReferenceContract, keys: Sequence[pa.Array[Any]], rows: int) -> None:
    """Refuse keys that repeat, and a number of rows that is not the contract's."""
    parts = [[it.strip() if isinstance(it, str) else it for it in key.to_pylist()] for key in keys]
    times = Counter(zip(*parts, strict=True))
    again = {" ".join(map(str, key)): count for key, count in times.items() if count > 1}
    amiss = f"it has {rows:,} rows, not {contract.rows:,}" if contract.rows not in (rows, None) else ""
    if again:
        first = [f"{key} ({count} times)" for key, count in list(again.items())[:_NAMED]]
        more = f" and {len(again) - _NAMED:,} more" if len(again) > _NAMED else ""
        within = f" within a {contract.key_within}" if contract.key_within else ""
        raise _UnfitError(
            f"{contract.key} must not repeat{within}, and {len(again):,} of its values are there more than once: "
            f"{', '.join(first)}{more}{f'; {amiss}' if amiss else ''}",
            f"give each {contract.key} one line{within}, as the table TLC publishes has it (TAXI_SOURCE=web), then "
            f"materialize {contract.table} again",
        )
    if amiss or not rows:
        raise _UnfitError(amiss or "it has no rows")


def _refusal(contract: ReferenceContract, url: str, error: _UnfitError) -> TaxiPlatformError:
    return TaxiPlatformError(
        "the file is not what its contract says",
        about=contract.table,
        where=url,
        cause=error.cause,
        fix=error.fix or f"if TLC changed it for good, change {contract.table}.yaml",
    )


def _columns(header: _Line) -> str:
    names = [_shortened(name.strip()) for name in header.fields if name.strip()]
    return f"{', '.join(names[:_SHOWN_NAMES])}{', …' if len(names) > _SHOWN_NAMES else ''}"


def _listed(what: str, numbers: Sequence[int]) -> str:
    """`line 7`, or `lines 7, 8 and 3 more`."""
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _quoted(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"
