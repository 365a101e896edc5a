"""How a raw file is read: which fields it has, under which names, and what becomes of malformed lines.

A file is read by the header it has, never by what its month should have. No published name ever reaches SQL as an
identifier of ours: fields are `f0`, `f1`, … in the order of the file.

There are two readers. DuckDB's is fast, and what every month is tried with. Its CSV parser refuses some bytes, passes
over some lines and lets an unclosed quote swallow others, so what it yields is counted; where a row is missing the file
is read again line by line, in Python.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.catalog.model import normalized
from taxi_platform.core.engine import connect, identifier, parquet, path_literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.parquet import read_footer
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.inspection import DAMAGED, open_csv

#: Lines looked at to learn how a CSV is laid out.
_PEEK = 200
#: Lines the line reader holds at a time.
_BATCH_LINES = 20_000
_REJECTS = "malformed_fields"


@dataclass(frozen=True)
class RawField:
    """One field of a raw file.

    Attributes:
        name: As published; empty where the header does not name it.
        label: What tells it from the file's other fields: its name, or its place where that is missing or not its own.
        column: The SQL name it is read under.
        type: DuckDB's name of its type; `VARCHAR` for every field of a CSV.
    """

    name: str
    label: str
    column: str
    type: str


@dataclass(frozen=True)
class RawTable:
    """A raw file as DuckDB reads it.

    Attributes:
        fields: In the order of the file.
        scan: The `FROM` clause that reads it, yielding `fields` by their `column`, in the order of the rows.
        malformed: A query for the lines that have too few or too many fields or cannot be decoded: `row_number`
            (1-based, among the data rows of the file) and `line`. It answers once the scan has run on the same
            connection. None where the format has no such lines.
    """

    fields: tuple[RawField, ...]
    scan: str
    malformed: str | None


def raw_table(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path) -> RawTable:
    """Learn a raw file's fields from the file itself.

    Args:
        raw: The file.
        con: What will read it.
        work: A folder for the time of the reading: a packed file is unpacked there, to some ten times its size.

    Raises:
        TaxiPlatformError: The file is packed and no longer what was fetched.
    """
    if raw.edition == "parquet":
        return _parquet_table(raw, con)
    try:
        return _csv_table(raw, _unpacked(raw, work))
    except DAMAGED as error:
        raise TaxiPlatformError(
            "the raw file does not unpack",
            where=str(raw.path),
            cause=str(error),
            fix="materialize the month's raw asset: what is damaged is fetched again",
        ) from error


def _unpacked(raw: RawFile, work: Path) -> Path:
    """The file as DuckDB reads it with all cores: what is packed it unpacks with one, four times slower than this."""
    if raw.path.suffix != ".gz":
        return raw.path
    path = work / raw.path.stem
    with open_csv(raw.path) as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return path


def _parquet_table(raw: RawFile, con: duckdb.DuckDBPyConnection) -> RawTable:
    file = parquet(raw.path)
    types = [kind for _, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()]
    # DuckDB renames columns that have no name, or one that another has but for its case.
    fields = _fields(read_footer(raw.path).schema.to_arrow_schema().names, types)
    columns = ", ".join(field.column for field in fields)
    return RawTable(fields, f"{file} AS raw({columns})", None)


def line_table(raw: RawFile, work: Path) -> RawTable:
    """Read a CSV line by line into a Parquet file: several times slower than DuckDB, and sure of every line.

    A row is what `inspection` counts as one, a line that is not blank; it is malformed if its fields are not those of
    the layout, whatever quotes it opens.
    """
    layout = _layout(raw)
    path = work / "lines.parquet"
    columns = [field.column for field in layout.fields]
    schema = pa.schema(
        [("row_number", pa.int64()), ("line", pa.string()), *((column, pa.string()) for column in columns)]
    )
    rows = _rows_by_line(raw, layout)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, _BATCH_LINES)):
            values = {name: list(column) for name, column in zip(schema.names, zip(*batch, strict=True), strict=True)}
            writer.write_table(pa.Table.from_pydict(values, schema=schema))
    return RawTable(
        layout.fields,
        scan=f"(SELECT {', '.join(columns)} FROM {parquet(path)} WHERE line IS NULL)",
        malformed=f"SELECT row_number, line FROM {parquet(path)} WHERE line IS NOT NULL",
    )


def are_lines_of(raw: RawFile, numbered: Iterable[tuple[int, str]]) -> bool:
    """Whether these are lines of a CSV and their numbers, 1-based among its data rows, in order."""
    lines = enumerate(_data_lines(raw, _layout(raw)), start=1)
    return all(next((line for at, line in lines if at == number), None) == text for number, text in numbered)


@dataclass(frozen=True)
class _CsvLayout:
    """How a CSV is laid out.

    Attributes:
        fields: In the order of the file.
        skipped: Lines before the first data line.
        quoted: Whether quotes mean anything.
        ends_alike: Whether all lines end alike. In TLC's files with a blank line after the header they do not.
    """

    fields: tuple[RawField, ...]
    skipped: int
    quoted: bool
    ends_alike: bool

    def split(self, line: str) -> list[str] | None:
        """A line's fields; None if its quotes make no sense."""
        if not self.quoted:
            return line.split(",")
        try:
            return next(csv.reader([line], strict=True))
        except csv.Error:
            return None


def _csv_table(raw: RawFile, path: Path) -> RawTable:
    layout = _layout(raw)
    if not layout.ends_alike and not layout.quoted:
        return _mixed_csv_table(raw, layout, path)
    columns = ", ".join(f"'{field.column}': 'VARCHAR'" for field in layout.fields)
    quote = "'\"'" if layout.quoted else "''"
    scan = f"""read_csv({path_literal(path)}, columns = {{{columns}}}, auto_detect = false, header = false,
                skip = {layout.skipped}, delim = ',', quote = {quote}, escape = {quote}, nullstr = '',
                encoding = '{raw.encoding}', strict_mode = true, ignore_errors = true, store_rejects = true,
                rejects_table = '{_REJECTS}', rejects_scan = '{_REJECTS}_scan', rejects_limit = 0)"""
    malformed = f"""
        SELECT (line - {layout.skipped})::BIGINT AS row_number, trim(any_value(csv_line), E'\\r\\n') AS line
        FROM {_REJECTS}
        GROUP BY {_REJECTS}.line
    """
    return RawTable(layout.fields, scan, malformed)


def _mixed_csv_table(raw: RawFile, layout: _CsvLayout, path: Path) -> RawTable:
    """A CSV of which DuckDB's parser finds not one row where it is strict, because its lines end in different ways.

    Where it is not, it would fill up lines that have too few fields and cut those that have too many. So it is asked
    for one field more, and to tell an empty field from a missing one, whose sign is a line's end: no field has that.
    The first line that is not whole ends the scan, and the file is read line by line.
    """
    columns = ", ".join(f"'{column}': 'VARCHAR'" for column in [*(it.column for it in layout.fields), "beyond"])
    values = ", ".join(f"nullif({field.column}, '') AS {field.column}" for field in layout.fields)
    is_whole = f"{layout.fields[-1].column} IS NOT NULL AND beyond IS NULL"
    scan = f"""(
        SELECT {values}
        FROM read_csv({path_literal(path)}, columns = {{{columns}}}, auto_detect = false, header = false,
            skip = {layout.skipped}, delim = ',', quote = '', escape = '', nullstr = E'\\n', null_padding = true,
            encoding = '{raw.encoding}', strict_mode = false)
        WHERE if({is_whole}, true, error('too few or too many fields'))
    )"""
    return RawTable(layout.fields, scan, None)


def _layout(raw: RawFile) -> _CsvLayout:
    with _text(raw) as text:
        ended = list(islice(text, _PEEK))
    peeked = [_unended(line) for line in ended]
    filled = [number for number, line in enumerate(peeked) if line]
    skipped = filled[1] if len(filled) > 1 else len(peeked)
    lines = [peeked[number] for number in filled]
    # Quotes are honoured where the file uses them from its start. Elsewhere a stray quote is a character like any
    # other: honouring it would swallow every line up to the next one.
    quoted = any('"' in line for line in lines[:2])
    ends = {line.endswith("\r\n") for line in ended if line.endswith("\n")}
    layout = _CsvLayout((), skipped, quoted, ends_alike=len(ends) < 2)
    header, *data = (layout.split(line) or [] for line in lines) if lines else ([],)
    # Some eras' rows have more fields than their header names; what most rows do is the layout, not a defect.
    usual = Counter(len(row) for row in data).most_common(1)
    width = max(len(header), usual[0][0] if usual else 0)
    names = [*header, *[""] * (width - len(header))]
    return replace(layout, fields=_fields(names, ["VARCHAR"] * width))


def _fields(names: list[str], types: list[str]) -> tuple[RawField, ...]:
    shared = Counter(map(normalized, names))
    fields: list[RawField] = []
    for place, (name, kind) in enumerate(zip(names, types, strict=True), start=1):
        label = name
        while not label.strip() or shared[normalized(label)] > (label == name):
            label = f"{label.strip()} (field {place})".strip()
        fields.append(RawField(name, label, f"f{place - 1}", kind))
    return tuple(fields)


def _rows_by_line(raw: RawFile, layout: _CsvLayout) -> Iterator[tuple[int | str | None, ...]]:
    """Every data row's number, its line if that is malformed, and its fields if not; an empty field is a null."""
    width = len(layout.fields)
    for number, line in enumerate(_data_lines(raw, layout), start=1):
        fields = layout.split(line)
        # As to DuckDB, commas too many at a line's end say nothing.
        if fields is None or len(fields) < width or any(fields[width:]):
            yield number, line, *[None] * width
        else:
            yield number, None, *(field or None for field in fields[:width])


def _data_lines(raw: RawFile, layout: _CsvLayout) -> Iterator[str]:
    with _text(raw) as text:
        yield from (line for line in map(_unended, islice(text, layout.skipped, None)) if line)


def _text(raw: RawFile) -> io.TextIOWrapper:
    # Lines end where inspection says they do, at "\n"; a byte order mark is none of the first column's name.
    encoding = "utf-8-sig" if raw.encoding == "utf-8" else raw.encoding
    return io.TextIOWrapper(open_csv(raw.path), encoding=encoding, errors="replace", newline="\n")


def _unended(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def rows_as_published(raw: RawFile, work: Path) -> pa.Table:
    """The rows of a raw file under their published names, a CSV's as text; lines that are no rows are left out."""

    def read(con: duckdb.DuckDBPyConnection, table: RawTable) -> pa.Table:
        names = ", ".join(f"{field.column} AS {identifier(field.label)}" for field in table.fields)
        return con.sql(f"SELECT {names} FROM {table.scan}").to_arrow_table()

    with connect(work / "spill") as con:
        try:
            rows = read(con, raw_table(raw, con, work))
        except duckdb.InvalidInputException:
            return read(con, line_table(raw, work))
        if rows.num_rows == raw.rows or raw.edition == "parquet":
            return rows
        return read(con, line_table(raw, work))
